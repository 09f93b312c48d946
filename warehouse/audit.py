"""Audits a publication: runs a suite of Great Expectations, keeps each result, and says what blocks."""

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg

from expectations import checkpoint, marts, raw
from expectations.measures import Measure, Subject
from fuel_stat import log
from fuel_stat.postgres.dsn import sqlalchemy_url
from fuel_stat.state import write_atomically
from warehouse.errors import WarehouseError
from warehouse.publish import Connection

logger = log.get(__name__)
Suite = Literal["raw", "marts"]
_EXAMPLES = 3


class AuditError(WarehouseError):
    """A blocking expectation failed: what is published stays as it is. ``failed`` are the names."""

    def __init__(self, code: str, sentence: str, failed: tuple[str, ...] = ()) -> None:
        super().__init__(code, sentence)
        self.failed = failed


@dataclass(frozen=True)
class Result:
    """One expectation's outcome, as kept in ``ops.audit_result``. ``unexpected``: bad rows, where it counts rows."""

    expectation: str
    table_name: str
    severity: str
    succeeded: bool
    observed: float | None
    unexpected: int | None
    detail: str | None


def audit(
    connection: Connection,
    dsn: str,
    publication_id: int,
    suite: Suite,
    *,
    docs: Path | None = None,
    extra: Sequence[Result] = (),
) -> list[Result]:
    """Run a suite on what is pinned or built, record every result under the publication, write its Data Docs.

    Args:
        docs: the Data Docs' folder (the suite gets one below it); None writes none.
        extra: results that come from elsewhere (the integrity report), recorded with the suite's.

    Raises:
        AuditError: ``audit_failed``, after everything was recorded.
    """
    fresh = docs / f".{suite}.new" if docs is not None else None
    if fresh is not None:
        shutil.rmtree(fresh, ignore_errors=True)
    verdicts = checkpoint.run(suite, subjects(connection, suite), sqlalchemy_url(dsn), fresh)
    results = [*(_result(connection, verdict) for verdict in verdicts), *extra]
    with connection.transaction():
        connection.execute(
            "delete from ops.audit_result where publication_id = %s and suite = %s", (publication_id, suite)
        )
        connection.cursor().executemany(
            "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded,"
            " observed, unexpected, detail) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    publication_id,
                    suite,
                    one.expectation,
                    one.table_name,
                    one.severity,
                    one.succeeded,
                    one.observed,
                    one.unexpected,
                    one.detail,
                )
                for one in results
            ],
        )
    if docs is not None and fresh is not None:
        _show(docs, fresh, suite)
    _judge(suite, results)
    return results


def subjects(connection: Connection, suite: Suite) -> tuple[Subject, ...]:
    """What a suite measures now: the identifying columns of the marts are read from the database."""
    if suite == "raw":
        return raw.SUBJECTS
    rows = connection.execute(
        "select c.table_name, c.column_name from information_schema.columns as c"
        " inner join information_schema.tables as t using (table_schema, table_name)"
        " where c.table_schema = 'build' and t.table_type = 'BASE TABLE' and c.data_type in ('text', 'jsonb',"
        " 'character varying') and c.table_name ~ '^(dim|fct|rpt|bridge)_[a-z0-9_]+$'"
        " and c.column_name ~ '^[a-z0-9_]+$' order by 1, 2"
    ).fetchall()
    return (*marts.SUBJECTS, marts.identifying([(table, column) for table, column in rows]))


def _result(connection: Connection, verdict: checkpoint.Verdict) -> Result:
    measure = verdict.measure
    counts = measure.maximum == 0 and verdict.observed is not None
    detail = None
    if not verdict.succeeded:
        detail = verdict.error or _detail(connection, verdict.subject, measure, verdict.observed)
        logger.warning(
            "expectation_failed", expectation=measure.name, severity=measure.severity, detail=detail
        )
    return Result(
        measure.name,
        verdict.subject.name,
        measure.severity,
        verdict.succeeded,
        verdict.observed,
        int(verdict.observed) if counts and verdict.observed is not None else None,
        detail,
    )


def _detail(connection: Connection, subject: Subject, measure: Measure, observed: float | None) -> str:
    band = "..".join("" if limit is None else f"{limit:g}" for limit in (measure.minimum, measure.maximum))
    sentence = f"{measure.because} Observed {observed:g}, expected {band}."
    if measure.offends is None or measure.offender is None:
        return sentence
    query = f"select {measure.offender} from {subject.relation} where {measure.offends} limit {_EXAMPLES}"
    try:
        rows = connection.execute(query).fetchall()
    except psycopg.DatabaseError as error:
        return f"{sentence} (Examples could not be read: {error})"
    return f"{sentence} For example: {'; '.join(str(row[0]) for row in rows)}."


def _judge(suite: str, results: Sequence[Result]) -> None:
    blocking = [one for one in results if one.severity == "block" and not one.succeeded]
    logger.info(
        "audited", suite=suite, expectations=len(results), failed=sum(not one.succeeded for one in results)
    )
    if blocking:
        names = tuple(one.expectation for one in blocking)
        told = " ".join(f"{one.expectation}: {one.detail}" for one in blocking[:3])
        raise AuditError(
            "audit_failed", f"{len(blocking)} blocking expectation(s) of {suite} failed. {told}", names
        )


def _show(docs: Path, fresh: Path, suite: str) -> None:
    """Put the new pages where the old ones were: pages of earlier runs would pile up in one folder."""
    before = docs / f".{suite}.old"
    shutil.rmtree(before, ignore_errors=True)
    if (docs / suite).exists():
        (docs / suite).rename(before)
    fresh.rename(docs / suite)
    shutil.rmtree(before, ignore_errors=True)
    write_index(docs)


def write_index(docs: Path) -> None:
    """The door page of the Data Docs: one link a suite."""
    links = "".join(
        f'<li><a href="{html.escape(site.name)}/index.html">{html.escape(site.name)}</a></li>'
        for site in sorted(docs.iterdir())
        if not site.name.startswith(".") and (site / "index.html").exists()
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Fuel-stat data docs</title>'
        f"<h1>Data docs</h1><p>What the last audit expected and saw ({now}).</p><ul>{links}</ul></html>\n"
    )
    write_atomically(docs / "index.html", page)
