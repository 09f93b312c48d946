"""Backfill: read landed requests of some receive days again and make raw equal to them.

What is equal already is not touched, so a reload of an intact day changes nothing. Rows that were altered or should
not be there are kept in ``raw.removed_record``; the day's seals are made anew from what was landed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg import sql

from fuel_stat import log
from warehouse.errors import ExtractionError
from warehouse.extract_retries import is_transient
from warehouse.extract_source import Source, open_source, received_on
from warehouse.load import (
    Pseudonyms,
    RecordCopy,
    finish_load,
    kinds_in_raw,
    new_load,
    open_warehouse,
    table_of,
    write_contacts,
)
from warehouse.load_records import Checker, copy_landings, tolerantly
from warehouse.reload_rows import remove_records
from warehouse.windows import compare_windows

_log = log.get(__name__)
ATTEMPTS = 5


@dataclass
class ReloadReport:
    """What a reload changed. ``archived``: days whose partition is detached, so that they cannot be compared."""

    load_ids: list[int] = field(default_factory=list)
    days: int = 0
    read: int = 0
    inserted: int = 0
    altered: int = 0
    removed: int = 0
    archived: list[date] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether raw differed anywhere."""
        return bool(self.inserted or self.altered or self.removed)


def run_reload(
    standby_dsn: str,
    warehouse_dsn: str,
    pepper: bytes,
    from_day: date,
    to_day: date,
    kinds: Sequence[str] | None = None,
    *,
    reason: str = "backfill",
) -> ReloadReport:
    """Make raw equal to what was landed on the receive days ``from_day`` … ``to_day`` (UTC, both included).

    Each day is a transaction; a killed reload is simply run again. Changed rows get a new load id.

    Raises:
        ExtractionError: ``bad_days``, ``extract_first`` (the source lost history; an extraction has to compare
            first), ``extraction_running``, ``source_unavailable``.
    """
    if to_day < from_day:
        raise ExtractionError("bad_days", f"The first day {from_day} is after the last day {to_day}.")
    report = ReloadReport()
    pseudonyms = Pseudonyms(pepper)
    with open_warehouse(warehouse_dsn) as connection:
        for day in _days(from_day, to_day):
            _retrying(standby_dsn, lambda s, d=day: _day(
                connection, warehouse_dsn, s, d, kinds, pseudonyms, reason, report
            ))  # fmt: skip
            report.days += 1
    _log.info(
        "reloaded", days=report.days, inserted=report.inserted, altered=report.altered, removed=report.removed
    )
    return report


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _retrying(standby_dsn: str, work: Any) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with open_source(standby_dsn) as source:
                work(source)
            return
        except psycopg.Error as error:
            if not is_transient(error):
                raise
            if attempt == ATTEMPTS:
                raise ExtractionError("source_unavailable", " ".join(str(error).split())) from error
            time.sleep(0.5 * 2 ** (attempt - 1))


def _day(
    connection: psycopg.Connection[Any],
    warehouse_dsn: str,
    source: Source,
    day: date,
    kinds: Sequence[str] | None,
    pseudonyms: Pseudonyms,
    reason: str,
    report: ReloadReport,
) -> None:
    if day not in source.coverage():
        report.archived.append(day)
        return
    agreement = compare_windows(connection, source)
    if agreement.boundary is not None:
        raise ExtractionError(
            "extract_first",
            "The source's history changed since the last extraction: run an extraction first.",
        )
    present = {s.kind for s in source.summary(received_on(day, None, agreement.watermark), contacts=False)}
    for kind in sorted(present | set(kinds_in_raw(connection)) if kinds is None else kinds):
        condition = received_on(day, kind, agreement.watermark)
        tolerantly(
            connection,
            warehouse_dsn,
            lambda checker, k=kind, c=condition: _kind(  # type: ignore[misc]
                connection, source, _Place(k, day, c), pseudonyms, reason, report, checker
            ),
        )
    if kinds is None:
        _contacts(connection, source, day, agreement.watermark, pseudonyms, reason)


@dataclass(frozen=True)
class _Place:
    """A kind and a receive day, and the condition that selects its landings at the source."""

    kind: str
    day: date
    condition: sql.Composable


def _kind(
    connection: psycopg.Connection[Any],
    source: Source,
    place: _Place,
    pseudonyms: Pseudonyms,
    reason: str,
    report: ReloadReport,
    checker: Checker,
) -> None:
    table = table_of(connection, place.kind)
    load_id = new_load(connection, state="loaded", mode="reload", reason=reason)
    connection.execute("create temporary table reload_stage (like raw.record_template) on commit drop")
    with RecordCopy(connection, sql.Identifier("pg_temp", "reload_stage"), load_id, pseudonyms) as copy:
        copy_landings(copy, source.landings(place.condition), checker)
    connection.execute("alter table reload_stage add primary key (landing_id, position)")
    connection.execute("analyze reload_stage")
    removed = remove_records(connection, place.kind, load_id, _differing(place), unseal=False)
    written = connection.execute(_WRITE.format(table=table)).rowcount
    altered = _count(connection, _ALTERED, (load_id,))
    _seal_anew(connection, place)
    connection.execute("drop table reload_stage")
    if removed or written:
        finish_load(connection, load_id, records=written, removed=removed)
        report.load_ids.append(load_id)
    else:
        connection.execute("delete from ops.load where load_id = %s", (load_id,))
    report.read += copy.records
    report.altered += altered
    report.inserted += written - altered
    report.removed += removed - altered


_WRITE = sql.SQL("""
    insert into {table} as r (landing_id, position, load_id, installation_key, received_at, tier, record)
    select landing_id, position, load_id, installation_key, received_at, tier, record from reload_stage as s
    where not exists (
        select from {table} as r
        where r.landing_id = s.landing_id and r.position = s.position
        and r.received_at = s.received_at
    )
    on conflict (landing_id, position) do update
    set load_id = excluded.load_id, installation_key = excluded.installation_key,
        received_at = excluded.received_at, tier = excluded.tier, record = excluded.record
""")

_ALTERED = """
    select count(*) from raw.removed_record as r
    inner join reload_stage as s on r.landing_id = s.landing_id and r.position = s.position
    where r.load_id = %s
"""


def _differing(place: _Place) -> sql.Composable:
    """Rows of raw on that day that are not exactly what was landed."""
    return sql.SQL(
        "{kind}.received_at >= {day}::date::timestamp at time zone 'UTC'"
        " and {kind}.received_at < ({day}::date + 1)::timestamp at time zone 'UTC'"
        " and not exists (select from reload_stage as s where s.landing_id = {kind}.landing_id"
        "   and s.position = {kind}.position and s.installation_key = {kind}.installation_key"
        "   and s.received_at = {kind}.received_at and s.tier = {kind}.tier"
        # By the stored bytes, as the seal: to jsonb's own equality 1.0 is 1.
        "   and s.record::bytea = {kind}.record::bytea)"
    ).format(kind=sql.Identifier(place.kind), day=sql.Literal(place.day))


def _seal_anew(connection: psycopg.Connection[Any], place: _Place) -> None:
    connection.execute(
        "delete from ops.raw_seal where kind = %s and received_day = %s", (place.kind, place.day)
    )
    connection.execute(
        "insert into ops.raw_seal (kind, received_day, tier, records, record_hash)"
        " select %s, %s, tier, count(*), sum(ops.record_hash(landing_id, position, record))"
        " from reload_stage group by tier",
        (place.kind, place.day),
    )


def _contacts(
    connection: psycopg.Connection[Any],
    source: Source,
    day: date,
    watermark: int,
    pseudonyms: Pseudonyms,
    reason: str,
) -> None:
    condition = sql.SQL("day = {} and xid < {}::xid8").format(sql.Literal(day), sql.Literal(str(watermark)))
    with connection.transaction():
        load_id = new_load(connection, state="loaded", mode="reload", reason=reason)
        for batch in source.contacts(condition):
            write_contacts(connection, load_id, batch, pseudonyms)
        used = _count(connection, "select count(*) from raw.contact where load_id = %s", (load_id,))
        if used:
            finish_load(connection, load_id, contacts=used)
        else:
            connection.execute("delete from ops.load where load_id = %s", (load_id,))


def _count(connection: psycopg.Connection[Any], query: str, parameters: tuple[object, ...]) -> int:
    row = connection.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0
