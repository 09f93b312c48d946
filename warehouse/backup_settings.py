"""Where backups go and what they are taken from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fuel_stat import state
from fuel_stat.postgres import find_binaries, wheel_binaries
from fuel_stat.settings import from_env, option
from warehouse.backup import Sources


@dataclass(frozen=True)
class BackupSettings:
    """Options of ``fuel-stat backups`` and of the DAG ``backup_collector``."""

    backup_dsn: str = option(
        "FUEL_STAT_COLLECTOR_BACKUP_DSN", "", "The standby for replication, as fuel_backup.", secret=True
    )
    standby_dsn: str = option(
        "FUEL_STAT_COLLECTOR_STANDBY_DSN",
        "",
        "The collector's database on the standby, as fuel_extract.",
        secret=True,
    )
    warehouse_dsn: str = option(
        "FUEL_STAT_WAREHOUSE_DSN", "", "The analytic database, as fuel_warehouse.", secret=True
    )
    folder: str = option("FUEL_STAT_BACKUPS", "", "Folder of the base backups.")
    wal_archive: str = option("FUEL_STAT_WAL_ARCHIVE", "", "Folder of the archived WAL; empty: none.")
    binaries: str = option(
        "FUEL_STAT_PG_BIN", "", "Folder of Postgres's programs, or wheel, wheel16, wheel18; empty: found."
    )


def folder() -> Path:
    """The folder of the base backups: as configured, else below the state folder."""
    return Path(from_env(BackupSettings, os.environ).folder or state.home() / "backups")


def wal_archive() -> Path | None:
    """The folder of archived WAL; None where none is kept."""
    found = from_env(BackupSettings, os.environ).wal_archive
    return Path(found) if found else None


def sources_from(*, backup_dsn: str, standby_dsn: str, warehouse_dsn: str) -> Sources:
    """Sources with the configured folder and the programs of the standby's own major version.

    Raises:
        OperatorError: ``postgres_missing`` when there are none of that version.
    """
    wanted = from_env(BackupSettings, os.environ).binaries or None
    binaries = find_binaries(wanted)
    major = server_major(standby_dsn) if standby_dsn else None
    if major is not None and binaries.major != major:
        debian = Path(f"/usr/lib/postgresql/{major}/bin")
        binaries = find_binaries(str(debian)) if debian.is_dir() else wheel_binaries(major)
    return Sources(backup_dsn, standby_dsn, warehouse_dsn, folder(), binaries)


def server_major(dsn: str) -> int | None:
    """The server's major version; None when it cannot be reached (whoever needs it will say so)."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            return connection.info.server_version // 10000
    except psycopg.OperationalError:
        return None
