"""The landing table's monthly partitions: made ahead of time, listed, and how long they last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from fuel_stat import log
from warehouse.errors import WarehouseError
from warehouse.publish import with_lock_timeout

logger = log.get(__name__)
LEAST_AHEAD = 3


class PartitionError(WarehouseError):
    """Partitions could not be made or let go."""


@dataclass(frozen=True)
class Partition:
    """A partition of ``collector.landing``; bounds are UTC, the upper one excluded; ``rows`` is an estimate."""

    name: str
    lower: datetime
    upper: datetime
    bytes: int
    rows: int
    detaching: bool


@dataclass(frozen=True)
class Maintained:
    """How many partitions were made, and for how many days from today the table is covered now."""

    created: int
    runway_days: int


def maintain(admin_dsn: str, *, months_ahead: int = LEAST_AHEAD) -> Maintained:
    """Make the partitions of this month and the next ``months_ahead``; what exists is left alone.

    New ones are made beside and attached with a short lock; a lock that is not granted is tried again.

    Raises:
        PartitionError: ``too_few_ahead``. PublicationError: ``lock_timeout``.
    """
    if months_ahead < LEAST_AHEAD:
        raise PartitionError(
            "too_few_ahead", f"At least {LEAST_AHEAD} months are made ahead, not {months_ahead}."
        )
    with connect(admin_dsn) as connection:
        created = with_lock_timeout(
            connection,
            lambda: _one(
                connection,
                "select collector.ensure_partitions((now() at time zone 'UTC')::date,"
                " ((now() at time zone 'UTC') + make_interval(months => %s))::date)",
                months_ahead,
            ),
        )
        runway = _one(connection, "select collector.partition_runway_days()")
    logger.info("partitions_maintained", created=created, runway_days=runway)
    return Maintained(created, runway)


def ensure(admin_dsn: str, first: date, last: date) -> int:
    """Make the partitions that cover these days (UTC); says how many were made."""
    if last < first:
        raise PartitionError("bad_days", f"{last} is before {first}.")
    with connect(admin_dsn) as connection:
        created: int = with_lock_timeout(
            connection,
            lambda: _one(connection, "select collector.ensure_partitions(%s, %s)", first, last),
        )
    return created


def partitions(admin_dsn: str) -> list[Partition]:
    """The partitions in their order."""
    with connect(admin_dsn) as connection:
        return list_partitions(connection)


def list_partitions(connection: psycopg.Connection[Any]) -> list[Partition]:
    """The same on an open connection."""
    rows = connection.execute(
        r"""
        select
            c.relname,
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz,
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz,
            pg_total_relation_size(c.oid),
            greatest(c.reltuples, 0)::bigint,
            i.inhdetachpending
        from pg_inherits as i inner join pg_class as c on i.inhrelid = c.oid
        where i.inhparent = 'collector.landing'::regclass order by 2
        """
    ).fetchall()
    return [Partition(*row) for row in rows]


def runway_days(admin_dsn: str) -> int:
    """Days from today until the first that no partition covers."""
    with connect(admin_dsn) as connection:
        days: int = _one(connection, "select collector.partition_runway_days()")
        return days


def connect(admin_dsn: str) -> psycopg.Connection[Any]:
    """The primary as fuel_admin, in UTC.

    Raises:
        PartitionError: ``primary_unavailable``.
    """
    try:
        return psycopg.connect(
            admin_dsn, autocommit=True, application_name="fuel-stat partitions", options="-c timezone=UTC"
        )
    except psycopg.OperationalError as error:
        sentence = f"The collector's primary cannot be reached: {' '.join(str(error).split())}"
        raise PartitionError("primary_unavailable", sentence) from error


def _one(connection: psycopg.Connection[Any], statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None  # noqa: S101 - a call gives one row
    return row[0]
