"""Garbage collection of the versioned store: which publications stay readable, and the rows of the others."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from fuel_stat import log
from warehouse.publish import Connection

logger = log.get(__name__)


@dataclass(frozen=True)
class Keep:
    """What stays: the latest publications, one an hour of the last hours, one a day of the last days.

    Records of runs (steps, audits, dbt's results) stay ``log_days``.
    """

    latest: int = 10
    hours: int = 24
    days: int = 7
    log_days: int = 30


def collect(connection: Connection, keep: Keep | None = None) -> int:
    """Delete the rows that no kept publication needs; says how many.

    Readers inside a transaction keep what they see (their snapshot does). The published one always stays.
    """
    keep = keep or Keep()
    with connection.transaction():
        connection.execute(
            """
            with ever as (
                select
                    p.publication_id,
                    p.published_at,
                    row_number() over (order by p.publication_id desc) as nth,
                    row_number() over (
                        partition by date_trunc('hour', p.published_at) order by p.publication_id desc
                    ) as nth_of_hour,
                    row_number() over (
                        partition by date_trunc('day', p.published_at, 'UTC') order by p.publication_id desc
                    ) as nth_of_day
                from ops.publication as p
                where p.state in ('published', 'superseded', 'rolled_back')
            )
            update ops.publication as p set state = 'collected'
            from ever
            where p.publication_id = ever.publication_id and p.state in ('superseded', 'rolled_back')
            and ever.nth > %(latest)s
            and not (ever.nth_of_hour = 1 and ever.published_at > now() - make_interval(hours => %(hours)s))
            and not (ever.nth_of_day = 1 and ever.published_at > now() - make_interval(days => %(days)s))
            """,
            {"latest": keep.latest, "hours": keep.hours, "days": keep.days},
        )
        removed = sum(_collect_table(connection, table) for table in _tables(connection))
        _forget_old_runs(connection, keep.log_days)
    if removed:
        logger.info("versions_collected", rows=removed)
    return removed


def _collect_table(connection: Connection, table: str) -> int:
    return connection.execute(
        sql.SQL(
            """
            delete from pub.{table} as p
            where p.pub_to <> 9223372036854775807 and not exists (
                select from ops.publication as k
                where k.state in ('published', 'superseded', 'rolled_back', 'audited')
                and k.publication_id >= p.pub_from and k.publication_id < p.pub_to
            )
            """
        ).format(table=sql.Identifier(table))
    ).rowcount


def _tables(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select tablename from pg_tables where schemaname = 'pub' order by tablename"
    ).fetchall()
    return [name for (name,) in rows]


def _forget_old_runs(connection: Connection, days: int) -> None:
    for table, column in (
        ("dbt_result", "finished_at"),
        ("publication_step", "started_at"),
        ("audit_result", "checked_at"),
    ):
        connection.execute(
            sql.SQL("delete from ops.{} where {} < now() - make_interval(days => %s)").format(
                sql.Identifier(table), sql.Identifier(column)
            ),
            (days,),
        )
