"""A node's own clock: how it is wrong and how it writes a time down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random


@dataclass(frozen=True)
class Clock:
    """Turns true UTC times into what the node believes and writes (naive, meaning UTC)."""

    skew: timedelta = timedelta()
    separator: str = "T"
    with_fraction: bool = True

    def believes(self, moment: datetime) -> datetime:
        """What the node takes for the time at the true UTC `moment`."""
        return moment + self.skew

    def stamp(self, moment: datetime) -> str:
        """The timestamp that the node writes at the true UTC `moment`."""
        spec = "microseconds" if self.with_fraction else "seconds"
        return self.believes(moment).replace(tzinfo=None).isoformat(sep=self.separator, timespec=spec)


def pick_clock(rng: Random) -> Clock:
    """Mostly right within seconds; some hours off; a few years off or from the future."""
    style = rng.random()
    separator, fraction = ("T", True) if style < 0.9 else (" ", style < 0.96)
    draw = rng.random()
    if draw < 0.92:
        skew = timedelta(seconds=rng.gauss(0, 2))
    elif draw < 0.96:
        skew = timedelta(hours=rng.choice((-5, -3, 2, 8)))
    elif draw < 0.985:
        skew = timedelta(days=-rng.randint(700, 1500))
    else:
        skew = timedelta(days=rng.randint(200, 900))
    return Clock(skew, separator, fraction)
