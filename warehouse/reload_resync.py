"""After a promotion or a restore: compare raw with the source by landing id, from where they last agreed.

Missing landings are inserted, phantoms (what another history had) are moved to ``raw.removed_record``. Whatever was
received on days whose partitions are detached was archived, and is no phantom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.range import Range

from warehouse.extract_source import Coverage, Source, of_kind, within
from warehouse.load import (
    Pseudonyms,
    RecordCopy,
    finish_load,
    kinds_in_raw,
    new_load,
    record_window,
    seal,
    table_of,
    write_contacts,
    write_decisions,
)
from warehouse.load_records import Checker, copy_landings
from warehouse.reload_rows import remove_records

FETCH_LANDINGS = 500


@dataclass(frozen=True)
class Resync:
    """What a comparison found. ``boundary``: the first transaction that was compared again."""

    load_id: int
    boundary: int
    to_xid: int
    superseded: tuple[int, ...]
    inserted_landings: int
    inserted_records: int
    removed_landings: int
    removed_records: int
    removed_contacts: int


def resync(
    connection: psycopg.Connection[Any],
    source: Source,
    boundary: int,
    pseudonyms: Pseudonyms,
    reason: str,
    *,
    to_xid: int | None = None,
    supersede: bool = True,
    checker: Checker = None,
    load_id: int | None = None,
) -> Resync:
    """Make raw equal to the source from ``boundary`` on; part of the caller's transaction.

    Args:
        to_xid: where the compared window ends; the snapshot's xmin by default.
        checker: see :func:`warehouse.load_records.tolerantly`.
        load_id: a reserved number; by default the next one.
        supersede: whether later windows are replaced and phantoms removed. False only inserts what is missing.
    """
    upper = source.snapshot.xmin if to_xid is None else to_xid
    load_id = new_load(
        connection, load_id, state="loaded", mode="resync", reason=reason, from_xid=str(boundary), to_xid=str(upper),
        source_xmax=str(source.snapshot.xmax), system_identifier=source.snapshot.system_identifier,
        timeline=source.snapshot.timeline, lag_seconds=source.snapshot.lag_seconds,
    )  # fmt: skip
    _stage_ids(connection, source, boundary, None if supersede else upper)
    removed, contacts = [(0, 0)], 0
    superseded: tuple[int, ...] = ()
    if supersede:
        removed = [
            _remove_phantoms(connection, source, kind, load_id, boundary) for kind in kinds_in_raw(connection)
        ]
        contacts = _remove_contacts(connection, source, boundary, pseudonyms)
        superseded = _supersede(connection, load_id, boundary)
    inserted = [
        _insert_missing(connection, source, kind, load_id, upper, pseudonyms, checker)
        for kind in _staged_kinds(connection)
    ]
    for batch in source.contacts(within(boundary, upper)):
        write_contacts(connection, load_id, batch, pseudonyms)
    _replace_decisions(connection, source, load_id, pseudonyms)
    result = Resync(
        load_id, boundary, upper, superseded,
        sum(landings for landings, _ in inserted), sum(records for _, records in inserted),
        sum(landings for landings, _ in removed), sum(records for _, records in removed), contacts,
    )  # fmt: skip
    _finish(connection, source, result)
    return result


def _finish(connection: psycopg.Connection[Any], source: Source, result: Resync) -> None:
    slices = source.summary(within(result.boundary, result.to_xid))
    record_window(connection, result.load_id, slices)
    top = source.max_xid(result.boundary, result.to_xid)
    finish_load(
        connection,
        result.load_id,
        landings=result.inserted_landings,
        records=result.inserted_records,
        removed=result.removed_records,
        window_count=sum(s.landings for s in slices),
        window_hash=sum(s.hash for s in slices),
        max_row_xid=None if top is None else str(top),
    )
    connection.execute("drop table source_landing")


def _stage_ids(connection: psycopg.Connection[Any], source: Source, boundary: int, upper: int | None) -> None:
    connection.execute(
        "create temporary table source_landing (landing_id uuid primary key, xid xid8, kind text) on commit drop"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy("copy source_landing (landing_id, xid, kind) from stdin") as copy,
    ):
        for landing_id, xid, kind in source.landing_ids(within(boundary, upper)):
            copy.write_row((landing_id, str(xid), kind))
    connection.execute("analyze source_landing")


def _staged_kinds(connection: psycopg.Connection[Any]) -> list[str]:
    return [kind for (kind,) in connection.execute("select distinct kind from source_landing order by 1")]


def _remove_phantoms(
    connection: psycopg.Connection[Any], source: Source, kind: str, load_id: int, boundary: int
) -> tuple[int, int]:
    """Landings of the compared loads that the source does not have; returns how many landings and records."""
    suspects = sql.SQL(
        "select distinct r.landing_id from {} as r"
        " where r.load_id in (select load_id from ops.load where state = 'loaded'"
        "   and (mode = 'reload' or to_xid > %s::xid8))"
        " and (r.received_at at time zone 'UTC')::date <@ any(%s::daterange[])"
        " and not exists (select from source_landing as s where s.landing_id = r.landing_id)"
    ).format(sql.Identifier("raw", kind))
    rows = connection.execute(suspects, (str(boundary), _ranges(source.coverage()))).fetchall()
    phantoms: list[UUID] = []
    for batch in _batches((row[0] for row in rows), FETCH_LANDINGS):
        there = source.existing(batch)
        phantoms += [landing_id for landing_id in batch if landing_id not in there]
    if not phantoms:
        return 0, 0
    condition = sql.SQL("landing_id = any({})").format(sql.Literal(phantoms))
    return len(phantoms), remove_records(connection, kind, load_id, condition)


def _insert_missing(
    connection: psycopg.Connection[Any],
    source: Source,
    kind: str,
    load_id: int,
    upper: int,
    pseudonyms: Pseudonyms,
    checker: Checker,
) -> tuple[int, int]:
    table = table_of(connection, kind)
    query = sql.SQL(
        "select s.landing_id from source_landing as s where s.kind = %s and s.xid < %s::xid8"
        " and not exists (select from {} as r where r.landing_id = s.landing_id)"
    ).format(table)
    landings = records = 0
    # A cursor of the server: the whole of a replaced source may be missing.
    with connection.cursor(f"missing_{kind}") as cursor:
        cursor.execute(query, (kind, str(upper)))
        while batch := [row[0] for row in cursor.fetchmany(FETCH_LANDINGS)]:
            condition = sql.SQL("landing_id = any({})").format(sql.Literal(batch))
            with RecordCopy(connection, table, load_id, pseudonyms) as copy:
                copy_landings(copy, source.landings(of_kind(kind, condition)), checker)
            landings += len(batch)
            records += copy.records
    seal(connection, load_id, kind)
    return landings, records


def _remove_contacts(
    connection: psycopg.Connection[Any], source: Source, boundary: int, pseudonyms: Pseudonyms
) -> int:
    connection.execute(
        "create temporary table source_contact (installation_key uuid, day date) on commit drop"
    )
    for batch in source.contacts(within(boundary, None)):
        connection.execute(
            "insert into source_contact select * from unnest(%s::uuid[], %s::date[])",
            ([pseudonyms[c.uid] for c in batch], [c.day for c in batch]),
        )
    gone = connection.execute(
        "delete from raw.contact as c where c.load_id in"
        " (select load_id from ops.load where state = 'loaded' and to_xid > %s::xid8)"
        " and not exists (select from source_contact as s"
        "   where s.installation_key = c.installation_key and s.day = c.day)",
        (str(boundary),),
    )
    return gone.rowcount


def _replace_decisions(
    connection: psycopg.Connection[Any], source: Source, load_id: int, pseudonyms: Pseudonyms
) -> None:
    """Decisions are few: all are compared, those that differ are written, those that are gone are removed."""
    decisions = source.decisions(sql.SQL("true"))
    connection.execute(
        "delete from raw.installation_decision where installation_key <> all(%s::uuid[])",
        ([pseudonyms[d.uid] for d in decisions],),
    )
    write_decisions(connection, load_id, decisions, pseudonyms)


def _supersede(connection: psycopg.Connection[Any], load_id: int, boundary: int) -> tuple[int, ...]:
    rows = connection.execute(
        "update ops.load set superseded_by = %s where state = 'loaded' and mode in ('window', 'resync')"
        " and superseded_by is null and load_id <> %s and to_xid > %s::xid8 returning load_id",
        (load_id, load_id, str(boundary)),
    ).fetchall()
    return tuple(sorted(row[0] for row in rows))


def _ranges(coverage: Coverage) -> list[Range[Any]]:
    return [Range(lower, upper, "[)") for lower, upper in coverage.ranges]


def _batches(items: Iterator[UUID], size: int) -> Iterator[Sequence[UUID]]:
    while batch := list(islice(items, size)):
        yield batch
