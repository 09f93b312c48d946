"""Old partitions of the landing table leave only after they were extracted and backed up. The ledger always stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from fuel_stat import log
from warehouse.backup import Backup
from warehouse.partitions import Partition, connect, list_partitions

logger = log.get(__name__)
LOCK_TIMEOUT_MS = 2000
ATTEMPTS = 15


@dataclass(frozen=True)
class Decision:
    """What became of an old partition: ``retired``, or ``kept`` with the reason."""

    partition: str
    retired: bool
    reason: str


def retire(admin_dsn: str, warehouse_dsn: str, backups: list[Backup], *, months: int) -> list[Decision]:
    """Let partitions go that ended more than ``months`` ago; 0 keeps everything.

    A partition goes when its newest transaction lies before the extraction's watermark and inside a verified backup.
    What it held (count and hash by day, kind and tier) stays in ``collector.retired_day`` for the integrity report.
    """
    if months <= 0:
        return []
    watermark = _watermark(warehouse_dsn)
    verified = [one for one in backups if one.state == "verified"]
    decisions = []
    with connect(admin_dsn) as connection:
        for partition in list_partitions(connection):
            if not _is_old(partition, months):
                continue
            reason = _obstacle(connection, partition, watermark, verified)
            if reason is None:
                _retire(connection, partition)
            decisions.append(Decision(partition.name, reason is None, reason or "extracted and backed up"))
    for decision in decisions:
        logger.info(
            "retention", partition=decision.partition, retired=decision.retired, reason=decision.reason
        )
    return decisions


def _is_old(partition: Partition, months: int) -> bool:
    now = datetime.now(UTC)
    month = now.year * 12 + now.month - 1 - months
    return partition.upper <= datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _watermark(warehouse_dsn: str) -> int:
    with psycopg.connect(warehouse_dsn, autocommit=True) as connection:
        row = connection.execute(
            "select max(l.to_xid::text::numeric) from ops.load as l"
            " where l.state = 'loaded' and l.superseded_by is null"
        ).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _obstacle(
    connection: psycopg.Connection[Any], partition: Partition, watermark: int, verified: list[Backup]
) -> str | None:
    if partition.detaching:
        return None
    row = connection.execute(
        sql.SQL("select xid::text from collector.{} order by xid desc limit 1").format(
            sql.Identifier(partition.name)
        )
    ).fetchone()
    newest = int(row[0]) if row else 0
    identifier = connection.execute("select system_identifier::text from pg_control_system()").fetchone()
    if newest >= watermark and newest:
        return "not extracted yet"
    if newest and not any(
        one.bound_xid > newest and identifier is not None and one.system_identifier == identifier[0]
        for one in verified
    ):
        return "in no verified backup yet"
    return None


def _retire(connection: psycopg.Connection[Any], partition: Partition) -> None:
    name = sql.Identifier(partition.name)
    if not partition.detaching:
        _detach(
            connection,
            sql.SQL("alter table collector.landing detach partition collector.{} concurrently"),
            name,
        )
    else:
        _detach(
            connection, sql.SQL("alter table collector.landing detach partition collector.{} finalize"), name
        )
    with connection.transaction():
        connection.execute(
            sql.SQL(
                """
                insert into collector.retired_day (kind, day, tier, landings, records, hash)
                select l.kind, (l.received_at at time zone 'UTC')::date, l.tier,
                    count(distinct l.landing_id), count(*), sum(uuid_hash_extended(l.landing_id, p.position)::numeric)
                from collector.{} as l
                cross join lateral (
                    select unnest(coalesce(l.taken, array(select generate_series(0, l.records - 1)))) as position
                ) as p
                group by 1, 2, 3
                on conflict (kind, day, tier) do update set
                    landings = retired_day.landings + excluded.landings,
                    records = retired_day.records + excluded.records,
                    hash = retired_day.hash + excluded.hash
                """
            ).format(name)
        )
        connection.execute(sql.SQL("drop table collector.{}").format(name))


def _detach(connection: psycopg.Connection[Any], statement: sql.SQL, name: sql.Identifier) -> None:
    """Concurrently: writers and readers go on; a lock that is not granted in time is tried again.

    Cut off in the middle, the partition is left ``detaching``; the next run finalizes it.
    """
    connection.execute(f"set lock_timeout = {LOCK_TIMEOUT_MS}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            connection.execute(statement.format(name))
            return
        except psycopg.errors.LockNotAvailable:
            logger.warning("lock_timeout", attempt=attempt, attempts=ATTEMPTS)
            if attempt == ATTEMPTS:
                raise
            if _is_detaching(connection, name):
                statement = sql.SQL("alter table collector.landing detach partition collector.{} finalize")


def _is_detaching(connection: psycopg.Connection[Any], name: sql.Identifier) -> bool:
    return any(
        one.detaching
        for one in list_partitions(connection)
        if one.name == name.as_string(connection).strip('"')
    )
