"""Values that a node should never have sent, marked so that a test can look for them everywhere.

Every planted value is remembered (`planted`): the proof that redaction works is that none of them is found in
any database, log or file afterwards.
"""

from random import Random


class Leaks:
    """Makes identifying values and secrets of one installation and remembers them."""

    def __init__(self) -> None:
        self.planted: set[str] = set()

    def key(self, rng: Random) -> str:
        """A storage key as `attributes` carries it."""
        return self._plant(f"AQleaked{rng.getrandbits(128):032x}==")

    def person(self, rng: Random) -> tuple[str, str, str]:
        """Name, e-mail and company of the person who registered; not all of it is ASCII."""
        mark = f"{rng.getrandbits(40):010x}"
        first, last = rng.choice((("Jürgen", "Müller"), ("Анна", "Петрова"), ("Ada", "Jones")))
        return (
            self._plant(f"{first} {last}-{mark}"),
            self._plant(f"leaked.{mark}@mail.example"),
            self._plant(f"Облако {mark} GmbH"),
        )

    def mac(self, rng: Random) -> str:
        """A MAC address from the locally administered range."""
        tail = rng.getrandbits(32)
        octets = (tail >> shift & 0xFF for shift in (24, 16, 8, 0))
        return self._plant("02:fe:" + ":".join(f"{octet:02x}" for octet in octets))

    def serial(self, rng: Random) -> str:
        """A serial number of a machine."""
        return self._plant(f"LEAKEDSN{rng.getrandbits(48):012X}")

    def host_name(self, rng: Random) -> str:
        """A full host name of a node."""
        return self._plant(f"leaked-{rng.getrandbits(40):010x}.corp.example")

    def password(self, rng: Random) -> str:
        """A password inside provisioning data of a task's output."""
        return self._plant(f"leaked-pass-{rng.getrandbits(64):016x}")

    def _plant(self, value: str) -> str:
        self.planted.add(value)
        return value
