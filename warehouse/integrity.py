"""The integrity report: is every record at every stage, unaltered?

For each receive day (UTC), kind and tier: count and order-independent hash at the ledger, landed, raw, the fact and
what is published, and the content of raw against its seal. Results stand in ``ops.integrity``, runs in
``ops.integrity_run``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fuel_stat import log
from warehouse import integrity_ledger, integrity_stages
from warehouse.errors import IntegrityError
from warehouse.extract_source import Source, open_source
from warehouse.integrity_judge import Row, Stages, judge
from warehouse.integrity_rows import against_fact, against_landed
from warehouse.integrity_stages import Days
from warehouse.load import Pseudonyms, kinds_in_raw
from warehouse.load_records import tolerantly
from warehouse.windows import loaded_windows

_log = log.get(__name__)
NAMED_PLACES = 10
# Besides what loads touched, each run looks again at a few days that nobody looked at for longest.
OLD_DAYS_A_RUN = 3

_TOUCHED = """
with since as (select coalesce(max(load_id), 0) as load_id from ops.integrity_run)
select received_day from ops.load_window, since where ops.load_window.load_id > since.load_id and kind <> 'contact'
union
select (received_at at time zone 'UTC')::date from raw.removed_record, since
where raw.removed_record.load_id > since.load_id
union
select received_day from ops.integrity where not agrees or pending_count > 0
union
(select received_day from ops.integrity group by 1 order by max(checked_at) limit {old})
"""


@dataclass(frozen=True)
class IntegrityReport:
    """The checked places and what disagrees. ``mismatches`` are sentences; the last ones name rows."""

    rows: tuple[Row, ...]
    mismatches: tuple[str, ...]
    ledger_total: dict[str, int]

    @property
    def agrees(self) -> bool:
        """Whether every stage agrees everywhere that was looked at."""
        return not self.mismatches


@dataclass(frozen=True)
class _Check:
    """One check: both snapshots, and what to look at."""

    connection: psycopg.Connection[Any]
    source: Source
    pseudonyms: Pseudonyms
    watermark: int
    days: Days
    required: Collection[str]
    checker: psycopg.Connection[Any] | None


def check_integrity(
    standby_dsn: str,
    warehouse_dsn: str,
    pepper: bytes,
    *,
    days: Sequence[date] | None = None,
    everything: bool = False,
    required: Collection[str] = ("fact",),
) -> IntegrityReport:
    """Compare the stages and keep the result in ``ops.integrity``.

    Args:
        days: the receive days to look at; by default those that loads touched since the last check, those that
            disagreed, and a few that were not looked at for longest.
        everything: look at all days.
        required: which of ``fact`` (schema build, from the pinned loads: during an audit) and ``published`` (schema
            marts, from the published loads) must agree too; what is there is reported in any case.
    """
    with psycopg.connect(
        warehouse_dsn, autocommit=True, application_name="fuel-stat integrity"
    ) as connection:
        connection.execute("set timezone to 'UTC'")
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select pg_advisory_lock(hashtextextended('fuel-stat.integrity', 0))")

        def work(checker: psycopg.Connection[Any] | None) -> IntegrityReport:
            started = datetime.now(UTC)
            windows = loaded_windows(connection, limit=1)
            looked = None if everything else _days(connection, days)
            with open_source(standby_dsn) as source:
                check = _Check(
                    connection, source, Pseudonyms(pepper), windows[0].to_xid if windows else 0,
                    looked, required, checker,
                )  # fmt: skip
                report = _run(check)
            _store(connection, report, looked, started)
            return report

        report = tolerantly(connection, warehouse_dsn, work)
    _log.info("integrity_checked", places=len(report.rows), mismatches=list(report.mismatches))
    return report


def require_integrity(standby_dsn: str, warehouse_dsn: str, pepper: bytes, **options: Any) -> IntegrityReport:
    """The same as :func:`check_integrity`, for a pipeline that must stop.

    Raises:
        IntegrityError: ``integrity_mismatch``; ``rows`` names places and rows.
    """
    report = check_integrity(standby_dsn, warehouse_dsn, pepper, **options)
    if not report.agrees:
        raise IntegrityError("integrity_mismatch", "; ".join(report.mismatches[:3]), report.mismatches)
    return report


def _days(connection: psycopg.Connection[Any], days: Sequence[date] | None) -> list[date]:
    if days is not None:
        return sorted(set(days))
    rows = connection.execute(_TOUCHED.format(old=OLD_DAYS_A_RUN))
    return sorted(row[0] for row in rows)


def _run(check: _Check) -> IntegrityReport:
    kinds = kinds_in_raw(check.connection)
    stages = _stages(check, kinds)
    rows = tuple(judge(place, stages, check.required) for place in stages.places())
    mismatches: list[str] = []
    named = 0
    settled: list[Row] = []
    for row in rows:
        if row.agrees or named >= NAMED_PLACES:
            settled.append(row)
            mismatches += [] if row.agrees else [row.sentence]
            continue
        explained, names = _name(check, row, kinds)
        settled.append(explained)
        if not explained.agrees:
            named += 1
            mismatches += [explained.sentence, *names]
    totals = integrity_ledger.totals(check.source)
    mismatches += _total_mismatches(check, totals)
    return IntegrityReport(tuple(settled), tuple(mismatches), totals)


def _stages(check: _Check, kinds: list[str]) -> Stages:
    connection, days = check.connection, check.days
    stages = Stages(
        landed=integrity_stages.landed(check.source, check.watermark, days)
        | integrity_stages.retired(check.source, days),
        coverage=check.source.coverage(),
        ledger=integrity_ledger.confirmed(connection, check.source, check.pseudonyms, kinds, days),
    )
    for kind in kinds:
        stages.raw |= integrity_stages.raw(connection, kind, days)
        stages.seals |= integrity_stages.seals(connection, kind, days)
        for stage, found, schema in (
            ("fact", stages.facts, "build"),
            ("published", stages.published, "marts"),
        ):
            fact = integrity_stages.fact(connection, kind, schema, days)
            if fact is not None:
                found[kind] = fact
                gone = integrity_stages.superseded(connection, kind, stage, schema, days)
                stages.superseded.setdefault(stage, {}).update(gone)
    return stages


def _name(check: _Check, row: Row, kinds: list[str]) -> tuple[Row, list[str]]:
    """The rows behind a mismatch. A fact that differs only by later loads is no mismatch."""
    names: list[str] = []
    if row.kind in kinds and row.day in check.source.coverage() and row.differs_before_facts:
        names += against_landed(
            check.connection, check.source, row.place, check.watermark, check.pseudonyms, check.checker
        )
    for stage, schema in (("fact", "build"), ("published", "marts")):
        if stage in row.problems:
            found = against_fact(check.connection, row.place, stage, schema)
            names += found
            if not found:
                row = row.without(stage)
    return row, names


def _total_mismatches(check: _Check, totals: dict[str, int]) -> list[str]:
    """The ledger must know exactly what was landed: before the watermark by the seals, after it by the landings."""
    rows = check.connection.execute("select kind, sum(records) from ops.raw_seal group by kind")
    expected: Counter[str] = Counter({kind: int(count) for kind, count in rows})
    expected.update(integrity_ledger.landed_totals(check.source, check.watermark))
    return [
        f"{kind}: the ledger knows {totals.get(kind, 0)} records, {expected[kind]} were landed"
        for kind in sorted({*expected, *totals})
        if totals.get(kind, 0) != expected[kind] and (kind in totals or kind in integrity_stages.FACTS)
    ]


def _store(
    connection: psycopg.Connection[Any], report: IntegrityReport, days: Days, started: datetime
) -> None:
    wanted = None if days is None else list(days)
    connection.execute(
        "delete from ops.integrity where %s::date[] is null or received_day = any(%s::date[])",
        (wanted, wanted),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.integrity (kind, received_day, tier, ledger_count, ledger_hash, landed_count,"
            " landed_hash, raw_count, raw_hash, fact_count, fact_hash, published_count, published_hash,"
            " sealed_content_hash, raw_content_hash, pending_count, agrees, disagreement)"
            " values (" + ", ".join(["%s"] * 18) + ")",
            [row.columns() for row in report.rows],
        )
    connection.execute(
        "insert into ops.integrity_run (load_id, days, mismatches, ledger_total, detail, started_at)"
        " select coalesce(max(load_id), 0), %s, %s, %s, %s, %s from ops.load",
        (
            len({row.day for row in report.rows}),
            len(report.mismatches),
            Jsonb(report.ledger_total),
            list(report.mismatches),
            started,
        ),
    )
