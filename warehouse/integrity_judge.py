"""The equation of one receive day, kind and tier: ledger = landed = raw = fact = published."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date

from warehouse.extract_source import Coverage
from warehouse.integrity_stages import FACTS, Place, RawTally, Tally

_NOTHING = Tally(0, 0)
_NO_RAW = RawTally(_NOTHING, 0, _NOTHING, _NOTHING, _NOTHING)


@dataclass
class Stages:
    """What was found at each stage. ``facts`` and ``published`` are by kind: a kind without a fact is not there.

    ``superseded`` is by stage (fact, published): records that gave way to a newer one of their key.
    """

    landed: dict[Place, Tally]
    coverage: Coverage
    ledger: dict[Place, Tally]
    raw: dict[Place, RawTally] = field(default_factory=dict)
    seals: dict[Place, Tally] = field(default_factory=dict)
    facts: dict[str, dict[Place, Tally]] = field(default_factory=dict)
    published: dict[str, dict[Place, Tally]] = field(default_factory=dict)
    superseded: dict[str, dict[Place, Tally]] = field(default_factory=dict)

    def places(self) -> list[Place]:
        """Every kind, day and tier that any stage knows."""
        found = {*self.landed, *self.raw, *self.seals}
        for by_place in (*self.facts.values(), *self.published.values()):
            found |= set(by_place)
        return sorted(found)


@dataclass(frozen=True)
class Row:
    """The stages at one place, and the names of those that disagree (``problems``)."""

    place: Place
    ledger: Tally | None
    landed: Tally | None
    raw: RawTally
    seal: Tally
    fact: Tally | None
    published: Tally | None
    problems: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.place[0]

    @property
    def day(self) -> date:
        return self.place[1]

    @property
    def agrees(self) -> bool:
        """Whether no stage disagrees."""
        return not self.problems

    @property
    def differs_before_facts(self) -> bool:
        """Whether raw itself is not what it should be."""
        return bool({"landed", "content", "ledger"} & set(self.problems))

    @property
    def sentence(self) -> str:
        """What disagrees, for people."""
        kind, day, tier = self.place
        counts = [
            ("ledger", self.ledger),
            ("landed", self.landed),
            ("raw", self.raw.all),
            ("sealed", self.seal),
        ]
        counts += [("fact", self.fact), ("published", self.published)]
        shown = ", ".join(f"{name} {tally.count}" for name, tally in counts if tally is not None)
        return f"{kind} {day} T{tier}: {' and '.join(self.problems)} disagree with raw ({shown})"

    def without(self, problem: str) -> Row:
        """The same row with a problem explained."""
        return replace(self, problems=tuple(name for name in self.problems if name != problem))

    def columns(self) -> tuple[object, ...]:
        """The values for ``ops.integrity``, in the order of its insert."""
        pairs = [self.ledger, self.landed, self.raw.all, self.fact, self.published]
        values = [
            value for tally in pairs for value in ((tally.count, tally.hash) if tally else (None, None))
        ]
        return (
            *self.place, *values, self.seal.hash, self.raw.content_hash, self.raw.pending.count,
            self.agrees, None if self.agrees else self.sentence,
        )  # fmt: skip


def judge(place: Place, stages: Stages, required: Collection[str]) -> Row:
    """Put the stages of a place side by side; ``required`` says which of fact and published must agree."""
    kind, day, _ = place
    raw = stages.raw.get(place, _NO_RAW)
    seal = stages.seals.get(place, _NOTHING)
    covered = day in stages.coverage
    landed = stages.landed.get(place, _NOTHING if covered else None)
    known_kinds = {known for known, _, _ in stages.ledger}
    checks_ledger = covered and (kind in known_kinds or kind in FACTS)
    ledger = stages.ledger.get(place, _NOTHING) if checks_ledger else None
    fact = stages.facts[kind].get(place, _NOTHING) if kind in stages.facts else None
    published = stages.published[kind].get(place, _NOTHING) if kind in stages.published else None
    gone = {stage: stages.superseded.get(stage, {}).get(place, _NOTHING) for stage in ("fact", "published")}
    problems = {
        "landed": landed is not None and landed != raw.all,
        "content": (seal.count, seal.hash) != (raw.all.count, raw.content_hash),
        "ledger": ledger is not None and ledger != raw.all,
        "fact": "fact" in required and fact is not None and fact != _less(raw, raw.pending, gone["fact"]),
        "published": "published" in required
        and published is not None
        and published != _less(raw, raw.unpublished, gone["published"]),
    }
    named = tuple(name for name, wrong in problems.items() if wrong)
    return Row(place, ledger, landed, raw, seal, fact, published, named)


def _less(raw: RawTally, *others: Tally) -> Tally:
    """What a fact must have: raw without the unreadable records, those of later loads and the superseded ones."""
    without = (raw.unreadable, *others)
    return Tally(
        raw.all.count - sum(other.count for other in without),
        raw.all.hash - sum(other.hash for other in without),
    )
