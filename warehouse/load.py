"""The analytic side of an extraction: everything of one load in one transaction.

Rows, watermark, window and seals are written together, so a load is there wholly or not at all, whenever the
loader is killed.
"""

from __future__ import annotations

import re
import select
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import pq, sql

from fuel_stat.identity import installation_key
from warehouse.errors import ExtractionError
from warehouse.expand import Landing, expand
from warehouse.extract_source import Contact, Decision, Slice

LOCK_NAME = "fuel-stat.extraction"
LOCK_PATIENCE_SECONDS = 60.0
COPY_BUFFER_BYTES = 256 * 1024
_HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
_TRAILER = b"\xff\xff"
_KIND = re.compile(r"[a-z][a-z0-9_]{0,50}")
_RESERVED = {"contact", "installation_decision", "record_template", "removed_record"}
_COLUMNS = "landing_id, position, load_id, installation_key, received_at, tier, record"


@contextmanager
def open_warehouse(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the analytic database that holds the extraction's lock: one loader at a time.

    A killed loader's lock goes with its connection.

    Raises:
        ExtractionError: ``extraction_running`` when another loader holds the lock for longer than a minute.
    """
    with psycopg.connect(dsn, autocommit=True, application_name="fuel-stat load") as connection:
        connection.execute("set timezone to 'UTC'")
        deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
        while not _try_lock(connection):
            if time.monotonic() > deadline:
                raise ExtractionError(
                    "extraction_running", "Another extraction, reload or erasure is running; try again later."
                )
            time.sleep(0.2)
        yield connection


def _try_lock(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (LOCK_NAME,)).fetchone()
    return bool(row and row[0])


@dataclass
class Pseudonyms:
    """uid → installation key, remembered for the nodes of one run (the memory is bounded)."""

    pepper: bytes
    limit: int = 100_000
    _known: dict[str, UUID] = field(default_factory=dict)

    def __getitem__(self, uid: str) -> UUID:
        key = self._known.get(uid)
        if key is None:
            if len(self._known) >= self.limit:
                self._known.clear()
            key = self._known[uid] = installation_key(self.pepper, uid)
        return key


class RecordCopy:
    """Streams records into a table of raw's shape by binary COPY; use as a context manager.

    libpq is called with large buffers: psycopg's own copy spends three times the time. While the server does not
    take more, the thread waits without the interpreter's lock, so that another one can fill its own copy.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], table: sql.Composable, load_id: int, pseudonyms: Pseudonyms
    ) -> None:
        self._pgconn = connection.pgconn
        self._load = struct.pack("!iq", 8, load_id)
        self.pseudonyms = pseudonyms
        self._parts: list[bytes] = [_HEADER]
        self._size = 0
        self.records = 0
        statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, sql.SQL(_COLUMNS))
        result = self._pgconn.exec_(statement.as_bytes(connection))
        if result.status != pq.ExecStatus.COPY_IN:
            raise psycopg.OperationalError(f"COPY did not start: {result.error_message.decode()}")
        self._pgconn.nonblocking = 1
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, 0)

    def write(self, landing: Landing) -> None:
        """All records that a landing contributes."""
        self.write_records(landing, expand(landing, self.pseudonyms[landing.uid]))

    def write_records(self, landing: Landing, records: Iterable[tuple[int, bytes]]) -> None:
        """These records (position, JSON text) as records of a landing."""
        head = struct.pack("!hi16si", 7, 16, landing.landing_id, 4)
        key = self.pseudonyms[landing.uid].bytes
        middle = self._load + struct.pack("!i16siqih", 16, key, 8, landing.received_at, 2, landing.tier)
        parts = self._parts
        size = self._size
        for position, text in records:
            length = len(text) + 1
            parts += (head, position.to_bytes(4), middle, length.to_bytes(4), b"\x01", text)
            size += length + 70
            self.records += 1
        self._size = size
        if size >= COPY_BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._pgconn.put_copy_data(b"".join(self._parts))
        self._parts.clear()
        self._size = 0
        self._drain()

    def _drain(self) -> None:
        """Until the kernel has taken everything; what the server says meanwhile is read, or both would wait."""
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def _wait(self, events: int) -> None:
        self._poll.modify(self._pgconn.socket, events)
        if any(happened & ~select.POLLOUT for _, happened in self._poll.poll()):
            self._pgconn.consume_input()

    def __enter__(self) -> RecordCopy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._parts.append(_TRAILER)
            self._flush()
            self._pgconn.put_copy_end()
        else:
            self._pgconn.put_copy_end(b"the loader gave up")
        self._drain()
        self._finish(quiet=error is not None)

    def _finish(self, *, quiet: bool) -> None:
        failed: pq.abc.PGresult | None = None
        while result := self._result():
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
        if failed is not None and not quiet:
            raise psycopg.errors.error_from_result(failed)

    def _result(self) -> pq.abc.PGresult | None:
        while self._pgconn.is_busy():
            self._wait(select.POLLIN)
        return self._pgconn.get_result()


def table_of(connection: psycopg.Connection[Any], kind: str) -> sql.Identifier:
    """The kind's table in raw, made when it is new.

    Raises:
        ExtractionError: ``bad_kind`` when the kind cannot name a table.
    """
    if not _KIND.fullmatch(kind) or kind in _RESERVED:
        raise ExtractionError("bad_kind", f"The kind {kind!r} cannot name a table.")
    connection.execute("select raw.ensure_kind(%s)", (kind,))
    return sql.Identifier("raw", kind)


def kinds_in_raw(connection: psycopg.Connection[Any]) -> list[str]:
    """The kinds that raw has a table for."""
    rows = connection.execute(
        "select c.relname from pg_class as c where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r'"
        " and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'record')"
        " order by 1"
    )
    return [name for (name,) in rows if name not in _RESERVED]


def reserve_load(connection: psycopg.Connection[Any]) -> int:
    """The number of a load that is still to be made."""
    row = connection.execute("select nextval(pg_get_serial_sequence('ops.load', 'load_id'))").fetchone()
    return int(row[0])  # type: ignore[index]


def new_load(connection: psycopg.Connection[Any], reserved: int | None = None, **values: object) -> int:
    """A load row with these columns; returns its id. Part of the caller's transaction."""
    if reserved is not None:
        values["load_id"] = reserved
    names = sql.SQL(", ").join(sql.Identifier(name) for name in values)
    marks = sql.SQL(", ").join(sql.Placeholder() for _ in values)
    statement = sql.SQL(
        "insert into ops.load ({}) overriding system value values ({}) returning load_id"
    ).format(names, marks)
    row = connection.execute(statement, list(values.values())).fetchone()
    return int(row[0])  # type: ignore[index]


def finish_load(connection: psycopg.Connection[Any], load_id: int, **values: object) -> None:
    """Set these columns and the time of the end."""
    pairs = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values
    )
    statement = sql.SQL("update ops.load set {}, finished_at = clock_timestamp() where load_id = {}")
    connection.execute(statement.format(pairs, sql.Literal(load_id)), list(values.values()))


def record_window(connection: psycopg.Connection[Any], load_id: int, slices: Sequence[Slice]) -> None:
    """Keep what the source said about the window."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.load_window values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [(load_id, s.kind, s.day, s.tier, s.landings, s.records, s.bytes, s.hash) for s in slices],
        )


def seal(connection: psycopg.Connection[Any], load_id: int, kind: str) -> Counter[tuple[Any, int]]:
    """Add the load's records of a kind to raw's seals; returns their number by (receive day, tier)."""
    statement = sql.SQL("""
        with sums as (
            select received_day, tier, count(*) as records, sum(hash) as record_hash
            from (
                select (received_at at time zone 'UTC')::date as received_day, tier,
                    ops.record_hash(landing_id, position, record) as hash
                from {table} where load_id = {load_id}
                -- A fence: a table without statistics is grouped by sorting, and then not whole records.
                offset 0
            ) as hashed
            group by 1, 2
        ),
        written as (
            insert into ops.raw_seal as s (kind, received_day, tier, records, record_hash)
            select {kind}, received_day, tier, records, record_hash from sums
            on conflict (kind, received_day, tier) do update
            set records = s.records + excluded.records, record_hash = s.record_hash + excluded.record_hash
        )
        select received_day, tier, records from sums
    """).format(table=sql.Identifier("raw", kind), load_id=sql.Literal(load_id), kind=sql.Literal(kind))
    return Counter({(day, tier): records for day, tier, records in connection.execute(statement)})


def check_expansion(kind: str, slices: Sequence[Slice], stored: Counter[tuple[Any, int]]) -> None:
    """What the source says it landed must be what raw took.

    Raises:
        ExtractionError: ``expansion_mismatch``, naming day and tier.
    """
    expected = Counter({(s.day, s.tier): s.records for s in slices if s.kind == kind})
    if expected != stored:
        day, tier = next(key for key in {**expected, **stored} if expected[key] != stored[key])
        raise ExtractionError(
            "expansion_mismatch",
            f"{kind} received {day} tier {tier}: landed {expected[day, tier]}, expanded {stored[day, tier]}.",
        )


def write_contacts(
    connection: psycopg.Connection[Any], load_id: int, contacts: Sequence[Contact], pseudonyms: Pseudonyms
) -> None:
    """Upsert contacts: the earliest moment and the highest tier of the day stay."""
    best: dict[tuple[UUID, Any], tuple[int, Any]] = {}
    for contact in contacts:
        place = (pseudonyms[contact.uid], contact.day)
        known = best.get(place, (contact.tier, contact.first_at))
        best[place] = (max(known[0], contact.tier), min(known[1], contact.first_at))
    connection.execute(
        "insert into raw.contact as c (installation_key, day, tier, first_at, load_id)"
        " select *, %s from unnest(%s::uuid[], %s::date[], %s::smallint[], %s::timestamptz[])"
        " on conflict (installation_key, day) do update"
        " set tier = greatest(c.tier, excluded.tier), first_at = least(c.first_at, excluded.first_at),"
        " load_id = excluded.load_id"
        " where (c.tier, c.first_at) is distinct from"
        " (greatest(c.tier, excluded.tier), least(c.first_at, excluded.first_at))",
        (
            load_id,
            [key for key, _ in best],
            [day for _, day in best],
            [tier for tier, _ in best.values()],
            [first_at for _, first_at in best.values()],
        ),
    )


def write_decisions(
    connection: psycopg.Connection[Any], load_id: int, decisions: Sequence[Decision], pseudonyms: Pseudonyms
) -> None:
    """Upsert decisions about installations: the latest one stands."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into raw.installation_decision"
            " (installation_key, is_filtered, source, decided_at, load_id) values (%s, %s, %s, %s, %s)"
            " on conflict (installation_key) do update set is_filtered = excluded.is_filtered,"
            " source = excluded.source, decided_at = excluded.decided_at, load_id = excluded.load_id",
            [(pseudonyms[d.uid], d.is_filtered, d.source, d.decided_at, load_id) for d in decisions],
        )
