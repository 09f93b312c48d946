"""One chunk of a window: rows, watermark, window and seals in one transaction on the analytic side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse.errors import ExtractionError
from warehouse.extract_alarms import Alarm
from warehouse.extract_source import Slice, Snapshot, Source, of_kind, within
from warehouse.load import (
    Pseudonyms,
    RecordCopy,
    check_expansion,
    finish_load,
    new_load,
    record_window,
    seal,
    table_of,
    write_contacts,
    write_decisions,
)
from warehouse.load_records import copy_landings, tolerantly
from warehouse.reload_resync import resync


@dataclass(frozen=True)
class Chunk:
    """The window ``[from_xid, to_xid)`` to load now, and what is known about the source."""

    from_xid: int
    to_xid: int
    reason: str
    oldest_transaction: dict[str, Any] | None
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class ChunkResult:
    """What one load brought."""

    load_id: int
    to_xid: int
    landings: int
    records: int
    bytes: int
    contacts: int
    unreadable: int
    lag_seconds: float | None
    oldest_transaction: dict[str, Any] | None
    alarms: tuple[Alarm, ...]
    is_empty: bool = False


def load_chunk(
    connection: psycopg.Connection[Any],
    warehouse_dsn: str,
    source: Source,
    chunk: Chunk,
    pseudonyms: Pseudonyms,
    *,
    load_id: int | None = None,
    turn: Callable[[], None] = lambda: None,
) -> ChunkResult:
    """Load a chunk, by the fast way if it can be.

    Records that jsonb cannot hold are found one by one and marked; rows that are there already (a window that was
    loaded under another history) are compared instead of copied.

    Args:
        load_id: a reserved number; by default the next one.
        turn: is called when the rows are copied, and returns once the chunk before has committed.

    Raises:
        ExtractionError: ``watermark_moved`` when the chunk does not begin where the loaded windows end.
    """
    try:
        return tolerantly(
            connection,
            warehouse_dsn,
            lambda checker: _load(connection, source, chunk, pseudonyms, checker, load_id, turn),
        )
    except psycopg.errors.UniqueViolation:
        turn()
        done = tolerantly(
            connection,
            warehouse_dsn,
            lambda checker: resync(
                connection,
                source,
                chunk.from_xid,
                pseudonyms,
                chunk.reason,
                to_xid=chunk.to_xid,
                supersede=False,
                checker=checker,
                load_id=load_id,
            ),
        )
        return ChunkResult(
            done.load_id, chunk.to_xid, done.inserted_landings, done.inserted_records, 0, 0, 0,
            source.snapshot.lag_seconds, chunk.oldest_transaction, chunk.alarms,
        )  # fmt: skip


def _load(
    connection: psycopg.Connection[Any],
    source: Source,
    chunk: Chunk,
    pseudonyms: Pseudonyms,
    checker: psycopg.Connection[Any] | None,
    reserved: int | None,
    turn: Callable[[], None],
) -> ChunkResult:
    condition = within(chunk.from_xid, chunk.to_xid)
    slices = source.summary(condition)
    decisions = source.decisions(condition)
    snapshot = source.snapshot
    is_empty = not slices and not decisions
    extended = _empty_load(connection, chunk) if is_empty and reserved is None else None
    load_id = extended or new_load(
        connection, reserved, state="loaded", reason=chunk.reason, from_xid=str(chunk.from_xid)
    )
    marked = 0
    kinds = sorted({s.kind for s in slices if s.kind != "contact"})
    for kind in kinds:
        with RecordCopy(connection, table_of(connection, kind), load_id, pseudonyms) as copy:
            marked += copy_landings(copy, source.landings(of_kind(kind, condition)), checker)
    turn()
    if extended is None:
        _require_watermark(connection, chunk, load_id)
    record_window(connection, load_id, slices)
    for kind in kinds:
        check_expansion(kind, slices, seal(connection, load_id, kind))
    for batch in source.contacts(condition):
        write_contacts(connection, load_id, batch, pseudonyms)
    write_decisions(connection, load_id, decisions, pseudonyms)
    result = _result(load_id, chunk, slices, marked, snapshot.lag_seconds)
    top = source.max_xid(chunk.from_xid, chunk.to_xid)
    finish_load(connection, load_id, **_columns(result, slices, top), **_source_columns(snapshot, chunk))
    return replace(result, is_empty=is_empty)


def _require_watermark(connection: psycopg.Connection[Any], chunk: Chunk, load_id: int) -> None:
    """Windows join without a gap and without an overlap, whoever else may have thought to hold the lock."""
    row = connection.execute(
        "select to_xid::text from ops.load where state = 'loaded' and mode in ('window', 'resync')"
        " and superseded_by is null and load_id <> %s order by load_id desc limit 1",
        (load_id,),
    ).fetchone()
    watermark = int(row[0]) if row else 0
    if watermark != chunk.from_xid:
        raise ExtractionError(
            "watermark_moved",
            f"The chunk begins at {chunk.from_xid}, the loaded windows end at {watermark}: does another loader run?",
        )


def _empty_load(connection: psycopg.Connection[Any], chunk: Chunk) -> int | None:
    """The newest load, when it brought nothing and ends where this chunk starts: it is extended, so that a run
    every few seconds does not leave a row each."""
    row = connection.execute(
        "select load_id from (select * from ops.load where state = 'loaded' and mode in ('window', 'resync')"
        "   and superseded_by is null order by load_id desc limit 1) as newest"
        " where mode = 'window' and to_xid = %s::xid8"
        " and not exists (select from ops.load_window as w where w.load_id = newest.load_id)"
        " and not exists (select from raw.installation_decision as d where d.load_id = newest.load_id)",
        (str(chunk.from_xid),),
    ).fetchone()
    return row[0] if row else None


def _source_columns(snapshot: Snapshot, chunk: Chunk) -> dict[str, object]:
    return {
        "system_identifier": snapshot.system_identifier,
        "timeline": snapshot.timeline,
        "to_xid": str(chunk.to_xid),
        "source_xmax": str(snapshot.xmax),
        "lag_seconds": snapshot.lag_seconds,
    }


def _result(
    load_id: int, chunk: Chunk, slices: list[Slice], marked: int, lag_seconds: float | None
) -> ChunkResult:
    landed = [s for s in slices if s.kind != "contact"]
    alarms = chunk.alarms
    if marked:
        alarms = (*alarms, Alarm("unreadable_records", f"{marked} records could not be stored as they are."))
    return ChunkResult(
        load_id=load_id,
        to_xid=chunk.to_xid,
        landings=sum(s.landings for s in landed),
        records=sum(s.records for s in landed),
        bytes=sum(s.bytes for s in landed),
        contacts=sum(s.records for s in slices if s.kind == "contact"),
        unreadable=marked,
        lag_seconds=lag_seconds,
        oldest_transaction=chunk.oldest_transaction,
        alarms=alarms,
    )


def _columns(result: ChunkResult, slices: list[Slice], max_row_xid: int | None) -> dict[str, object]:
    holder = result.oldest_transaction
    return {
        "landings": result.landings,
        "records": result.records,
        "bytes": result.bytes,
        "contacts": result.contacts,
        "unreadable": result.unreadable,
        "window_count": sum(s.landings for s in slices),
        "window_hash": sum(s.hash for s in slices),
        "max_row_xid": None if max_row_xid is None else str(max_row_xid),
        "oldest_transaction": None if holder is None else Jsonb(holder),
        "alarms": Jsonb([alarm.as_json() for alarm in result.alarms]),
    }
