"""What a node is told of its records, and what is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest_api.kinds import Kind
from ingest_api.landing import Landing

LONGEST_UID = 255
_INT64 = range(-(2**63), 2**63)
Key = tuple[str, int, str]


@dataclass(slots=True)
class Answer:
    """What the node is told, and what is counted.

    Attributes:
        status: HTTP status.
        statuses: per-record answers (empty for a kind of one record).
        message: for a status of 400 and above.
        counts: records by status.
        removed: redacted values by rule.
        refused: quarantined records by reason code.
    """

    status: int
    statuses: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


def tally(values: Iterable[str]) -> dict[str, int]:
    """How often each occurs (for a few values cheaper than a Counter)."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def known_status(kind: Kind) -> str:
    """What a good record is answered whose key was known before."""
    return "existed" if kind.ledger == "bitmap" else "updated"


def of_one(landed: bool, first: bool, message: str) -> Answer:
    """The answer of a kind of one record: refused, the node's first, or another one."""
    if not landed:
        return Answer(400, message=message, counts={"failed": 1})
    return Answer(201, counts={"added": 1}) if first else Answer(200, counts={"updated": 1})


def of_accepted(
    kind: Kind, uid: str, landing: Landing, skipped: Sequence[int], fresh: Mapping[int, int]
) -> Answer:
    """The answer to one node's records of a bitmap ledger: the good ones in order, then the skipped ids."""
    names = kind.uid, str(kind.id)
    new = [fresh.get(number >> 6, 0) >> (number & 63) & 1 for number in landing.ids]
    statuses = [
        {names[0]: uid, names[1]: number, "status": "added" if is_new else "existed"}
        for number, is_new in zip(landing.ids, new, strict=True)
    ]
    statuses += [{names[0]: uid, names[1]: number, "status": "skipped"} for number in skipped]
    added = sum(new)
    counts = {"added": added, "existed": len(new) - added, "skipped": len(skipped)}
    return Answer(200, statuses, counts={name: count for name, count in counts.items() if count})


def fresh_keys(kind: Kind, landings: Sequence[Landing], fresh: Sequence[Mapping[int, int]]) -> set[Key]:
    """The keys that nobody had sent before, from what the store says of each landing."""
    found: set[Key] = set()
    for landing, new in zip(landings, fresh, strict=True):
        if kind.ledger == "bitmap":
            found.update(
                (landing.uid, number, "")
                for number in landing.ids
                if new.get(number >> 6, 0) >> (number & 63) & 1
            )
        else:
            keys = zip(landing.places, landing.ids, landing.subtypes, strict=True)
            found.update((landing.uid, number, subtype) for place, number, subtype in keys if new.get(place))
    return found


def failed(kind: Kind, values: Iterable[Any], answered: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """One answer for each refused record, or for each key where it can be read; a good record of a key wins."""
    statuses = []
    for value in values:
        uid, record_id = usable_uid(value, kind), usable_id(value, kind)
        if uid is not None and record_id is not None and kind.subtype is None:
            if (uid, record_id) in answered:
                continue
            answered.add((uid, record_id))
        statuses.append(status(kind, uid, record_id, "failed"))
    return statuses


def status(kind: Kind, uid: str | None, record_id: int | None, said: str) -> dict[str, Any]:
    """The answer for one record."""
    return {kind.uid: uid, str(kind.id): record_id, "status": said}


def usable_uid(record: Any, kind: Kind) -> str | None:
    """A record's uid if it can be stored and answered, else None."""
    uid = record.get(kind.uid) if isinstance(record, dict) else None
    if not isinstance(uid, str) or not 0 < len(uid) <= LONGEST_UID or "\0" in uid:
        return None
    try:
        uid.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return uid


def usable_id(record: Any, kind: Kind) -> int | None:
    """A record's id if it is an integer of 64 bits, else None."""
    value = record.get(kind.id) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        return None
    return value
