"""The collector's side of an extraction: one REPEATABLE READ snapshot on the standby, and what it shows.

Only the snapshot's xmin bounds a window: every transaction below it has ended, and what it wrote is visible. On a
standby the snapshot's list of running transactions is empty, so nothing else of it can be used.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from warehouse.expand import Landing

SETTLING_SECONDS = 1.0

_SNAPSHOT = """
select
    pg_snapshot_xmin(pg_current_snapshot())::text,
    pg_snapshot_xmax(pg_current_snapshot())::text,
    pg_is_in_recovery(),
    (select system_identifier::text from pg_control_system()),
    (select timeline_id from pg_control_checkpoint())
"""

# Lag is how old the last replayed commit is, unless everything that the primary sent is replayed.
_LAG = """
select case
    when not pg_is_in_recovery() then 0
    when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
        and exists (select from pg_stat_wal_receiver) then 0
    else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())
end::double precision
"""

_PARTITIONS = """
with bounds as (
    select pg_get_expr(c.relpartbound, c.oid) as bound
    from pg_inherits as i
    inner join pg_class as c on i.inhrelid = c.oid
    where i.inhparent = 'collector.landing'::regclass and not i.inhdetachpending
)
select
    (regexp_match(bound, 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz::date,
    (regexp_match(bound, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz::date
from bounds
"""

# The hash is over records, so that it can be compared with raw and with facts.
_SUMMARY = """
select l.kind, (l.received_at at time zone 'UTC')::date, l.tier,
    count(*), sum(coalesce(cardinality(l.taken), l.records)), sum(octet_length(l.payload)), sum(h.hash)
from collector.landing as l
cross join lateral (
    select sum(uuid_hash_extended(l.landing_id, p)) as hash
    from unnest(coalesce(l.taken, array(select generate_series(0, l.records - 1)))) as p
) as h
where {condition}
group by 1, 2, 3
"""

_CONTACT_SUMMARY = """
select 'contact', day, tier, count(*), count(*), 0, sum(uuid_hash_extended(node, day - date '2000-01-01'))
from collector.contact
where {condition}
group by day, tier
"""

_ROWS = """
copy (
    select landing_id, received_at, uid, kind, tier, records, taken, payload
    from collector.landing where {condition}
) to stdout (format binary)
"""


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot says about its server. Transactions are 64-bit; ``lag_seconds`` is the standby's replay lag."""

    xmin: int
    xmax: int
    in_recovery: bool
    system_identifier: str
    timeline: int
    lag_seconds: float | None


@dataclass(frozen=True, order=True)
class Slice:
    """Count and hash of what landed of one kind, receive day (UTC) and tier within a window."""

    kind: str
    day: date
    tier: int
    landings: int
    records: int
    bytes: int
    hash: int


@dataclass(frozen=True)
class Contact:
    """That a node was heard from on a day, first at ``first_at``."""

    uid: str
    day: date
    tier: int
    first_at: datetime


@dataclass(frozen=True)
class Decision:
    """A decision about an installation that was taken elsewhere."""

    uid: str
    is_filtered: bool
    source: str
    decided_at: datetime


@dataclass(frozen=True)
class Coverage:
    """The receive days whose partitions are attached; what lies outside was archived and cannot be compared."""

    ranges: tuple[tuple[date, date], ...]

    def __contains__(self, day: date) -> bool:
        return any(lower <= day < upper for lower, upper in self.ranges)


def within(from_xid: int, to_xid: int | None) -> sql.Composable:
    """The condition ``from_xid <= xid < to_xid``."""
    condition = sql.SQL("xid >= {}::xid8").format(sql.Literal(str(from_xid)))
    if to_xid is None:
        return condition
    return condition + sql.SQL(" and xid < {}::xid8").format(sql.Literal(str(to_xid)))


def received_on(day: date, kind: str | None, before_xid: int) -> sql.Composable:
    """The condition for landings (of a kind) received on a UTC day and already within the watermark."""
    condition = sql.SQL(
        "received_at >= {day}::date::timestamp at time zone 'UTC'"
        " and received_at < ({day}::date + 1)::timestamp at time zone 'UTC' and xid < {xid}::xid8"
    ).format(day=sql.Literal(day), xid=sql.Literal(str(before_xid)))
    return condition if kind is None else of_kind(kind, condition)


def of_kind(kind: str, condition: sql.Composable) -> sql.Composable:
    """The condition, for one kind only."""
    return sql.SQL("kind = {} and ").format(sql.Literal(kind)) + condition


class Source:
    """One snapshot of the collector's database. Make it with :func:`open_source`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        row = _one(connection.execute(_SNAPSHOT))
        lag = _one(connection.execute(_LAG))[0]
        self.snapshot = Snapshot(int(row[0]), int(row[1]), row[2], row[3], row[4], lag)

    def is_settled(self) -> bool:
        """Whether the server shows all that it ever had; a standby that starts replays again what it had received."""
        before, settled = self._replay()
        if settled:
            return True
        # Without a primary there will be no receiver: then what it had is replayed when nothing moves any more.
        time.sleep(SETTLING_SECONDS)
        after, settled = self._replay()
        return settled or before == after

    def _replay(self) -> tuple[str | None, bool]:
        # The receiver is started only after everything local was replayed.
        query = (
            "select pg_last_wal_replay_lsn()::text,"
            " not pg_is_in_recovery() or exists (select from pg_stat_wal_receiver)"
        )
        lsn, settled = _one(self.connection.execute(query))
        return lsn, settled

    def coverage(self) -> Coverage:
        """The receive days that the attached partitions cover."""
        return Coverage(tuple(self.connection.execute(_PARTITIONS).fetchall()))

    def summary(self, condition: sql.Composable, *, contacts: bool = True) -> list[Slice]:
        """Counts and hashes of what the condition selects, by kind, receive day and tier."""
        queries = [_SUMMARY, _CONTACT_SUMMARY] if contacts else [_SUMMARY]
        return sorted(
            Slice(kind, day, tier, landings, int(records), int(size), int(total))
            for query in queries
            for kind, day, tier, landings, records, size, total in self.connection.execute(
                sql.SQL(query).format(condition=condition)
            )
        )

    def landings(self, condition: sql.Composable) -> Generator[Landing, None, None]:
        """The selected landings, streamed: memory holds one at a time. Close it where it is not read to its end."""
        with (
            self.connection.cursor() as cursor,
            cursor.copy(sql.SQL(_ROWS).format(condition=condition)) as copy,
        ):
            for number, data in enumerate(copy):
                row = bytes(data)[19:] if number == 0 else bytes(data)
                if row[:2] != b"\xff\xff":
                    yield _landing(row)

    def cut(self, from_xid: int, to_xid: int, max_landings: int) -> int:
        """Where to end a chunk that starts at ``from_xid`` so that it has about ``max_landings`` landings.

        A transaction is never divided, so a huge one makes a huge chunk (which is still streamed).
        """
        at = self._xid_at(within(from_xid, to_xid), max_landings)
        if at is None:
            return to_xid
        if at > self._first_xid(from_xid, to_xid):
            return at
        return self._xid_at(within(at + 1, to_xid), 0) or to_xid

    def kinds(self, from_xid: int, to_xid: int) -> set[str]:
        """What kinds of records landed in the window."""
        query = sql.SQL("select distinct kind from collector.landing where {}")
        return {row[0] for row in self.connection.execute(query.format(within(from_xid, to_xid)))}

    def max_xid(self, from_xid: int, to_xid: int) -> int | None:
        """The latest transaction in the window that landed anything."""
        query = sql.SQL("select xid::text from collector.{} where {} order by xid desc limit 1")
        found = [
            int(row[0])
            for table in ("landing", "contact")
            if (
                row := self.connection.execute(
                    query.format(sql.Identifier(table), within(from_xid, to_xid))
                ).fetchone()
            )
        ]
        return max(found, default=None)

    def contacts(self, condition: sql.Composable, batch: int = 10_000) -> Iterator[list[Contact]]:
        """The selected contacts, in batches."""
        query = sql.SQL("select uid, day, tier, first_at from collector.contact where {}")
        with self.connection.cursor("contacts") as cursor:
            cursor.execute(query.format(condition))
            while rows := cursor.fetchmany(batch):
                yield [Contact(*row) for row in rows]

    def decisions(self, condition: sql.Composable) -> list[Decision]:
        """The selected decisions about installations (few)."""
        query = sql.SQL(
            "select uid, is_filtered, source, decided_at from collector.installation_decision where {}"
        )
        return [Decision(*row) for row in self.connection.execute(query.format(condition))]

    def landing_ids(self, condition: sql.Composable) -> Iterator[tuple[UUID, int, str]]:
        """Id, transaction and kind of the selected landings, streamed."""
        query = sql.SQL("select landing_id, xid::text, kind from collector.landing where {}")
        with self.connection.cursor("landing_ids") as cursor:
            cursor.itersize = 20_000
            for landing_id, xid, kind in cursor.execute(query.format(condition)):
                yield landing_id, int(xid), kind

    def existing(self, landing_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these landings are there, whatever transaction they carry."""
        query = "select landing_id from collector.landing where landing_id = any(%s)"
        return {row[0] for row in self.connection.execute(query, (list(landing_ids),))}

    def _first_xid(self, from_xid: int, to_xid: int) -> int:
        return self._xid_at(within(from_xid, to_xid), 0) or to_xid

    def _xid_at(self, condition: sql.Composable, offset: int) -> int | None:
        query = sql.SQL("select xid::text from collector.landing where {} order by xid offset {} limit 1")
        row = self.connection.execute(query.format(condition, sql.Literal(offset))).fetchone()
        return int(row[0]) if row else None


@contextmanager
def open_source(dsn: str) -> Iterator[Source]:
    """A snapshot of the collector's database (the standby): REPEATABLE READ, read only, ended on leaving."""
    connection = psycopg.connect(dsn, autocommit=False, application_name="fuel-stat extract")
    try:
        connection.execute("set timezone to 'UTC'")
        connection.commit()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield Source(connection)
    finally:
        # No rollback: after an error a COPY may still be under way, which holds the connection's lock.
        connection.close()


def _landing(row: bytes) -> Landing:
    """One row of binary COPY: a count of fields, then each with its length (-1 for null)."""
    fields: list[bytes | None] = []
    offset = 2
    for _ in range(8):
        (length,) = struct.unpack_from("!i", row, offset)
        offset += 4
        if length < 0:
            fields.append(None)
            continue
        fields.append(row[offset : offset + length])
        offset += length
    landing_id, received_at, uid, kind, tier, records, taken, payload = fields
    return Landing(
        landing_id=landing_id or b"",
        received_at=int.from_bytes(received_at or b"", signed=True),
        uid=(uid or b"").decode(),
        kind=(kind or b"").decode(),
        tier=int.from_bytes(tier or b""),
        records=int.from_bytes(records or b""),
        taken=None if taken is None else _integers(taken),
        payload=payload or b"",
    )


def _integers(array: bytes) -> tuple[int, ...]:
    """A one-dimensional ``integer[]``: 20 bytes of head, then length and value of each element."""
    return struct.unpack_from(f"!{(len(array) - 20) // 4}i", array, 20)[1::2]


def _one(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise psycopg.InternalError("a query that always answers with a row answered with none")
    return row
