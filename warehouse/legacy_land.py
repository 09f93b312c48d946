"""Landing what an original collector had stored: the same ledgers, the same landing rows, the original's dates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import zstandard

from fuel_stat.identity import node_id

Redact = Callable[[bytes], bytes]
# The original's service began in 2014: dates outside are a broken clock's, and would need partitions of their own.
EARLIEST = datetime(2013, 1, 1, tzinfo=UTC)
RECORDS_A_LANDING = 100


@dataclass(frozen=True)
class LegacyRecord:
    """One stored record: JSON text as it is to be landed, its key, and when it was received (as well as is known)."""

    uid: str
    external_id: int
    subtype: str
    text: bytes
    received_at: datetime


@dataclass(frozen=True)
class LegacyStructure:
    """One stored structure; ``is_filtered`` None means that the original had not decided."""

    uid: str
    text: bytes
    created_at: datetime
    modified_at: datetime | None
    is_filtered: bool | None


class Lander:
    """Writes batches on the collector's primary as fuel_admin; each call is part of the caller's transaction."""

    def __init__(self, connection: psycopg.Connection[Any], redact: Redact) -> None:
        self._connection = connection
        self._redact = redact
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._months: set[tuple[int, int]] = set()

    def first_wins(self, kind: str, records: Sequence[LegacyRecord]) -> int:
        """Land the records whose key the bitmap ledger does not know; returns how many."""
        bits: dict[tuple[str, int], int] = defaultdict(int)
        for record in records:
            bits[record.uid, record.external_id >> 6] |= 1 << (record.external_id & 63)
        rows = self._connection.execute(
            "insert into collector.ledger_bitmap as l (node, kind, bucket, bits, fresh)"
            " select *, w.bits from unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[])"
            "   as w (node, kind, bucket, bits) order by 1, 3"
            " on conflict (node, kind, bucket) do update"
            " set bits = l.bits | excluded.bits, fresh = excluded.bits & ~l.bits"
            " where (excluded.bits & ~l.bits) <> 0 returning l.node, l.bucket, l.fresh",
            (
                [node_id(uid) for uid, _ in bits],
                [kind] * len(bits),
                [bucket for _, bucket in bits],
                [_signed(mask) for mask in bits.values()],
            ),
        )
        fresh = {(node, bucket): mask for node, bucket, mask in rows}
        new = [
            record
            for record in {(r.uid, r.external_id): r for r in records}.values()
            if fresh.get((node_id(record.uid), record.external_id >> 6), 0) >> (record.external_id & 63) & 1
        ]
        self._land(kind, new)
        return len(new)

    def versions(self, kind: str, records: Sequence[LegacyRecord]) -> int:
        """Land the records whose key the version ledger does not know; a known key has a newer version already."""
        by_key = {(node_id(r.uid), r.subtype, r.external_id): r for r in records}
        rows = self._connection.execute(
            "insert into collector.ledger_version (node, kind, subtype, external_id, digest)"
            " select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bytea[]) order by 1, 3, 4"
            " on conflict do nothing returning node, subtype, external_id",
            (
                [node for node, _, _ in by_key],
                [kind] * len(by_key),
                [subtype for _, subtype, _ in by_key],
                [number for _, _, number in by_key],
                [_digest(record.text) for record in by_key.values()],
            ),
        )
        new = [by_key[node, subtype, number] for node, subtype, number in rows]
        self._land(kind, new)
        return len(new)

    def structure(self, structure: LegacyStructure) -> int:
        """Land a structure with its contacts and the decision about it; returns 0 when it was landed before."""
        node, received_at = node_id(structure.uid), structure.modified_at or structure.created_at
        known = self._connection.execute(
            "select from collector.landing where node = %s and kind = 'installation_structure' and received_at = %s",
            (node, received_at),
        ).fetchone()
        if known is not None:
            return 0
        self._connection.execute(
            "insert into collector.ledger_latest as l (node, kind, digest, received_at)"
            " values (%s, 'installation_structure', %s, %s)"
            " on conflict (node, kind) do update set versions = l.versions + 1",
            (node, _digest(structure.text), received_at),
        )
        self._insert("installation_structure", structure.uid, received_at, 1, structure.text)
        self._node(structure.uid, structure.created_at)
        for moment in (structure.created_at, structure.modified_at):
            if moment is not None:
                self._contact(structure.uid, moment)
        self._decision(structure, received_at)
        return 1

    def _land(self, kind: str, records: Iterable[LegacyRecord]) -> None:
        """A landing row a node and receive day: as the node's requests of that day would have been."""
        groups: dict[tuple[str, Any], list[LegacyRecord]] = defaultdict(list)
        for record in records:
            groups[record.uid, record.received_at.date()].append(record)
        for (uid, _), group in groups.items():
            self._node(uid, min(record.received_at for record in group))
            for start in range(0, len(group), RECORDS_A_LANDING):
                part = group[start : start + RECORDS_A_LANDING]
                document = b"[" + b",".join(record.text for record in part) + b"]"
                self._insert(kind, uid, max(record.received_at for record in part), len(part), document)

    def _insert(self, kind: str, uid: str, received_at: datetime, records: int, document: bytes) -> None:
        self._partition(received_at)
        text = self._redact(document)
        self._connection.execute(
            "insert into collector.landing (received_at, node, uid, kind, records, payload_bytes, payload)"
            " values (%s, %s, %s, %s, %s, %s, %s)",
            (received_at, node_id(uid), uid, kind, records, len(text), self._compressor.compress(text)),
        )

    def _partition(self, moment: datetime) -> None:
        month = (moment.year, moment.month)
        if month not in self._months:
            day = moment.date()
            self._connection.execute("select collector.ensure_partitions(%s, %s)", (day, day))
            self._months.add(month)

    def _node(self, uid: str, first_seen: datetime) -> None:
        self._connection.execute(
            "insert into collector.node (node, uid, first_seen) values (%s, %s, %s) on conflict do nothing",
            (node_id(uid), uid, first_seen),
        )

    def _contact(self, uid: str, moment: datetime) -> None:
        self._connection.execute(
            "insert into collector.contact (node, uid, day, first_at) values (%s, %s, %s, %s) on conflict do nothing",
            (node_id(uid), uid, moment.date(), moment),
        )

    def _decision(self, structure: LegacyStructure, decided_at: datetime) -> None:
        """The original's three values: an undecided one is marked by its source. An operator's decision stays."""
        source = "legacy-undecided" if structure.is_filtered is None else "legacy"
        self._connection.execute(
            "insert into collector.installation_decision (node, uid, is_filtered, source, decided_at)"
            " values (%s, %s, %s, %s, %s) on conflict do nothing",
            (node_id(structure.uid), structure.uid, bool(structure.is_filtered), source, decided_at),
        )


def plausible(moment: datetime | None, fallback: datetime) -> datetime:
    """A naive or aware moment as UTC; the fallback where it is absent or a broken clock's."""
    if moment is None:
        return fallback
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware if EARLIEST <= aware <= datetime.now(UTC) + timedelta(hours=1) else fallback


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:16]


def _signed(mask: int) -> int:
    return mask - (1 << 64) if mask >> 63 else mask
