"""The streaming standby: made by a base backup of the primary, fed through a replication slot."""

from __future__ import annotations

import shutil

import psycopg
from psycopg import sql

from fuel_stat.postgres.cluster import HOST, Cluster, ClusterError

SLOT = "fuel_stat_standby"


def make_standby(primary: Cluster, standby: Cluster, *, slot: str = SLOT) -> None:
    """Copy the primary into the standby's (absent) data folder and configure it to stream.

    The primary must run. The slot keeps WAL for a stopped standby, but never more than the primary's
    ``max_slot_wal_keep_size``: then the slot is lost and the standby has to be rebuilt.

    Raises:
        ClusterError: ``base_backup_failed``.
    """
    _ensure_slot(primary, slot)
    standby.data.parent.mkdir(parents=True, exist_ok=True)
    source = f"host={HOST} port={primary.port} user=fuel_backup application_name={standby.name}"
    done = standby.run(
        "pg_basebackup",
        *("--pgdata", str(standby.data), "--dbname", source, "--slot", slot),
        *("--wal-method", "stream", "--checkpoint", "fast", "--write-recovery-conf", "--no-sync"),
        PGPASSWORD=primary.passwords["fuel_backup"],
    )
    if done.returncode != 0:
        shutil.rmtree(standby.data, ignore_errors=True)
        sentence = f"{standby.name}: the base backup failed: {done.stderr.strip()[-500:]}"
        raise ClusterError("base_backup_failed", sentence)


def rebuild_standby(primary: Cluster, standby: Cluster, *, slot: str = SLOT) -> None:
    """Throw the standby's data away and make it anew from the running primary (after a lost slot or a broken disk)."""
    standby.destroy()
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
            " where slot_name = %s and not active",
            (slot,),
        )
    make_standby(primary, standby, slot=slot)


def replay_lag_seconds(standby: Cluster) -> float:
    """Age in seconds of the last replayed commit while received WAL waits for replay; 0 when all is replayed."""
    query = sql.SQL(
        "select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0"
        " else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end::float8"
    )
    with psycopg.connect(standby.dsn("postgres"), connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
    return float(row[0] or 0.0) if row else 0.0


def _ensure_slot(primary: Cluster, slot: str) -> None:
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute(
            "select pg_create_physical_replication_slot(%s, true) where not exists"
            " (select from pg_replication_slots where slot_name = %s)",
            (slot, slot),
        )
