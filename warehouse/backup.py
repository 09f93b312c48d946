"""Base backups of the collector's cluster, taken from the standby, verified, and listed in a catalogue.

A backup is a folder ``<backups>/<id>`` with ``base.tar.*``, ``pg_wal.tar.*``, Postgres's own manifest and
``backup.json``, which is all that is needed to find and restore it; ``ops.backup`` shows the same to people.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fuel_stat import log
from fuel_stat.postgres import Binaries
from fuel_stat.postgres.dsn import Dsn
from fuel_stat.state import write_atomically
from warehouse.errors import WarehouseError

logger = log.get(__name__)
_PARTIAL = ".partial-"
_ID = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_SEGMENT_BYTES = 16 * 1024 * 1024


class BackupError(WarehouseError):
    """A backup could not be taken, verified, found or restored."""


@dataclass(frozen=True)
class Backup:
    """One backup. Times are UTC in ISO form; ``landings`` and ``landing_hash`` are what the copy must at least hold.

    ``bound_xid``: every transaction before it had ended before the copy began. ``landing_hash`` is the sum of
    ``uuid_hash_extended(landing_id, 0)`` over those rows, as text (it outgrows 64 bits).
    """

    backup_id: str
    path: str
    started_at: str
    state: str = "running"
    finished_at: str | None = None
    bytes: int = 0
    compression: str = ""
    major: int = 0
    system_identifier: str = ""
    database: str = ""
    bound_xid: int = 0
    landings: int = 0
    landing_hash: str = "0"
    verified_at: str | None = None
    drilled_at: str | None = None
    drill_passed: bool | None = None
    drill_detail: dict[str, Any] | None = None

    @property
    def folder(self) -> Path:
        return Path(self.path)


@dataclass(frozen=True)
class Sources:
    """Where backups come from and go to: libpq URLs of the standby for replication (fuel_backup) and for reading
    (fuel_extract), of the analytic database (empty: no catalogue there), the folder, and the Postgres programs."""

    backup_dsn: str
    standby_dsn: str
    warehouse_dsn: str
    folder: Path
    binaries: Binaries


def create_backup(sources: Sources) -> Backup:
    """Take a base backup from the standby, with the WAL it needs; it is not verified yet.

    A backup that is cut off leaves a folder ``.partial-…``, which the next one removes.

    Raises:
        BackupError: ``standby_unavailable``, ``backup_failed``, ``no_space``.
    """
    sources.folder.mkdir(parents=True, exist_ok=True)
    with _only_one(sources.folder):
        _remove_partial(sources.folder)
        started = datetime.now(UTC)
        begun = _begin(sources, started)
        partial = sources.folder / f"{_PARTIAL}{begun.backup_id}"
        record(sources.warehouse_dsn, begun)
        try:
            compression = _base_backup(sources, partial)
        except BackupError as error:
            shutil.rmtree(partial, ignore_errors=True)
            record(sources.warehouse_dsn, replace(begun, state="failed"), error.sentence)
            raise
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
        taken = replace(
            begun,
            state="taken",
            finished_at=datetime.now(UTC).isoformat(),
            bytes=size,
            compression=compression,
        )
        _write(partial, taken)
        partial.rename(taken.folder)
    record(sources.warehouse_dsn, taken)
    logger.info("backup_taken", backup_id=taken.backup_id, bytes=size, landings=taken.landings)
    return taken


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError("backup_running", f"Another backup is being taken in {folder}.") from error
        yield


def _remove_partial(folder: Path) -> None:
    for entry in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(entry, ignore_errors=True)


def _begin(sources: Sources, started: datetime) -> Backup:
    """What the standby holds now: every transaction before the bound is over, so the copy will hold it too."""
    try:
        with psycopg.connect(sources.standby_dsn, application_name="fuel-stat backup") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            row = connection.execute(
                "with bound as (select pg_snapshot_xmin(pg_current_snapshot()) as xid)"
                " select (select system_identifier from pg_control_system())::text, bound.xid::text, (select count(*)"
                " from collector.landing as l where l.xid < bound.xid), (select coalesce("
                "sum(uuid_hash_extended(l.landing_id, 0)::numeric), 0)::text from collector.landing as l"
                " where l.xid < bound.xid) from bound"
            ).fetchone()
    except psycopg.OperationalError as error:
        sentence = f"The standby cannot be reached: {' '.join(str(error).split())}"
        raise BackupError("standby_unavailable", sentence) from error
    assert row is not None  # noqa: S101 - the query gives one row
    backup_id = started.strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while (sources.folder / backup_id).exists():
        number += 1
        backup_id = f"{started.strftime('%Y%m%dT%H%M%SZ')}-{number}"
    return Backup(
        backup_id=backup_id,
        path=str(sources.folder / backup_id),
        started_at=started.isoformat(),
        major=sources.binaries.major,
        system_identifier=row[0],
        database=Dsn.parse(sources.standby_dsn).database,
        bound_xid=int(row[1]),
        landings=row[2],
        landing_hash=row[3],
    )


def _base_backup(sources: Sources, target: Path) -> str:
    """Run pg_basebackup; the server compresses, with zstd where its build can. Says with what."""
    address = Dsn.parse(sources.backup_dsn)
    conninfo = (
        f"host={address.host} port={address.port} user={address.user} application_name=fuel_stat_base_backup"
    )
    said = ""
    for compression in ("server-zstd:level=3", "server-gzip:level=1"):
        shutil.rmtree(target, ignore_errors=True)
        done = subprocess.run(
            [
                sources.binaries.program("pg_basebackup"),
                *(
                    "--pgdata",
                    str(target),
                    "--dbname",
                    conninfo,
                    "--format",
                    "tar",
                    "--compress",
                    compression,
                ),
                *(
                    "--wal-method",
                    "stream",
                    "--checkpoint",
                    "fast",
                    "--manifest-checksums",
                    "SHA256",
                    "--no-password",
                ),
            ],
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGPASSWORD": address.password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return compression.split(":")[0].removeprefix("server-")
        said = done.stderr.strip()
        if "not supported" not in said and "unrecognized compression" not in said:
            break
    code = "no_space" if "No space left" in said else "backup_failed"
    raise BackupError(code, f"pg_basebackup: {' '.join(said.split())[-500:]}")


def catalogue(folder: Path) -> list[Backup]:
    """The backups in a folder, newest first."""
    found = []
    for file in folder.glob("*/backup.json"):
        if _ID.fullmatch(file.parent.name):
            found.append(replace(Backup(**json.loads(file.read_text())), path=str(file.parent)))
    return sorted(found, key=lambda one: one.started_at, reverse=True)


def find(folder: Path, backup_id: str | None = None) -> Backup:
    """A backup by id, or the newest.

    Raises:
        BackupError: ``unknown_backup``, ``no_backup``.
    """
    found = catalogue(folder)
    if backup_id is None:
        if not found:
            raise BackupError(
                "no_backup", f"There is no backup in {folder}: `fuel-stat backups create` takes one."
            )
        return found[0]
    for one in found:
        if one.backup_id == backup_id:
            return one
    raise BackupError(
        "unknown_backup", f"There is no backup {backup_id!r}: `fuel-stat backups list` shows them."
    )


def update(backup: Backup, warehouse_dsn: str) -> None:
    """Write what is known now beside the backup and into the catalogue."""
    _write(backup.folder, backup)
    record(warehouse_dsn, backup)


def _write(folder: Path, backup: Backup) -> None:
    write_atomically(folder / "backup.json", json.dumps(asdict(backup), indent=2) + "\n")


def record(warehouse_dsn: str, backup: Backup, error: str | None = None) -> None:
    """Show the backup in ``ops.backup``. A catalogue that is down stops no backup: backup.json is what counts."""
    if not warehouse_dsn:
        return
    values = {name: value for name, value in asdict(backup).items() if name not in ("major", "database")}
    values |= {"error": error, "bound_xid": str(backup.bound_xid)}
    values["drill_detail"] = Jsonb(backup.drill_detail) if backup.drill_detail is not None else None
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" + ("::xid8" if name == "bound_xid" else "") for name in values)
    changes = ", ".join(f"{name} = excluded.{name}" for name in values if name != "backup_id")
    statement = (
        f"insert into ops.backup ({names}) values ({marks}) on conflict (backup_id) do update set {changes}"
    )
    try:
        with psycopg.connect(warehouse_dsn, autocommit=True) as connection:
            connection.execute(statement.encode(), values)
    except psycopg.OperationalError as problem:
        logger.warning("catalogue_unavailable", error=str(problem))


def prune(sources: Sources, keep: int, wal_archive: Path | None = None) -> list[str]:
    """Remove backups beyond the newest ``keep`` verified ones, and archived WAL that none of the rest needs.

    Says which backups went. The newest verified one always stays; unverified ones go when a newer verified one exists.
    """
    found = catalogue(sources.folder)
    good = [one for one in found if one.state == "verified"][: max(keep, 1)]
    if not good:
        return []
    removed = [one for one in found if one not in good and one.started_at < good[0].started_at]
    for one in removed:
        shutil.rmtree(one.folder)
        record(sources.warehouse_dsn, replace(one, state="removed"))
    if wal_archive is not None and wal_archive.is_dir():
        _prune_wal(wal_archive, good[-1])
    return [one.backup_id for one in removed]


def _prune_wal(archive: Path, oldest: Backup) -> None:
    first = first_segment(oldest)
    for file in archive.iterdir():
        # Names are timeline, log, segment in hexadecimal: the last sixteen digits count on through all timelines.
        if re.fullmatch(r"[0-9A-F]{24}", file.name) and file.name[8:] < first[8:]:
            file.unlink()


def first_segment(backup: Backup) -> str:
    """The name of the first WAL file that a restore of this backup needs."""
    ranges = json.loads((backup.folder / "backup_manifest").read_text())["WAL-Ranges"]
    start = ranges[0]
    high, low = (int(part, 16) for part in start["Start-LSN"].split("/"))
    return f"{start['Timeline']:08X}{high:08X}{low // _SEGMENT_BYTES:08X}"
