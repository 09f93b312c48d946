"""Restores of base backups: unpacking, verifying, and a drill that boots the copy and compares it with the ledger."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import psycopg
import zstandard

from fuel_stat import log
from fuel_stat.postgres import Cluster, free_port, reachable, server_user
from fuel_stat.postgres.dsn import Dsn
from fuel_stat.postgres.owner import reachable_binaries
from warehouse.backup import Backup, BackupError, Sources, update

logger = log.get(__name__)


@dataclass
class RestoredCluster(Cluster):
    """A booted copy. Its roles and passwords are the original's; we come in as the one whose address we have."""

    visitor: str = ""

    def dsn(self, database: str, role: str = "postgres") -> str:
        """The copy's address for the visitor, whatever role is asked for."""
        return str(replace(Dsn.parse(self.visitor), host="127.0.0.1", port=self.port, database=database))


def unpack(backup: Backup, target: Path) -> None:
    """Lay the backup out as a data folder that boots as a primary of its own.

    A copy of a standby has ``standby.signal`` and the primary's address in it: both go.

    Raises:
        BackupError: ``target_not_empty``, ``backup_broken``.
    """
    if target.exists() and any(target.iterdir()):
        raise BackupError(
            "target_not_empty", f"{target} is not empty: a restore writes only into an empty folder."
        )
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _extract(backup, "base", target)
        if any(backup.folder.glob("pg_wal.tar*")):
            _extract(backup, "pg_wal", target / "pg_wal")
        shutil.copyfile(backup.folder / "backup_manifest", target / "backup_manifest")
    except (OSError, EOFError, tarfile.TarError, zstandard.ZstdError) as error:
        raise BackupError("backup_broken", f"{backup.backup_id} cannot be unpacked: {error}") from error
    target.chmod(0o700)


def _extract(backup: Backup, name: str, target: Path) -> None:
    with _stream(backup, name) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(target, filter="tar")


@contextmanager
def _stream(backup: Backup, name: str) -> Iterator[IO[bytes]]:
    """An archive of the backup, decompressed as it is read. The WAL may be compressed otherwise than the data."""
    zst, gz = (backup.folder / f"{name}.tar.{suffix}" for suffix in ("zst", "gz"))
    if zst.exists():
        with zst.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            yield cast("IO[bytes]", stream)
    elif gz.exists():
        with gzip.open(gz, "rb") as stream:
            yield cast("IO[bytes]", stream)
    else:
        with (backup.folder / f"{name}.tar").open("rb") as stream:
            yield stream


def as_primary(target: Path) -> None:
    """Take out of a copy what would make it follow, or write to, the original's world."""
    (target / "standby.signal").unlink(missing_ok=True)
    automatic = target / "postgresql.auto.conf"
    if automatic.exists():
        kept = [
            line
            for line in automatic.read_text().splitlines()
            if not line.strip().startswith(
                ("primary_conninfo", "primary_slot_name", "restore_command", "recovery_")
            )
        ]
        automatic.write_text("\n".join(kept) + "\n")


def verify(backup: Backup, sources: Sources) -> Backup:
    """Check every file of the copy against Postgres's manifest, by unpacking it into a scratch folder.

    Raises:
        BackupError: ``backup_broken``.
    """
    with scratch(sources) as folder:
        unpack(backup, folder / "data")
        _verify_files(folder / "data", backup, sources)
    verified = replace(backup, state="verified", verified_at=datetime.now(UTC).isoformat())
    update(verified, sources.warehouse_dsn)
    logger.info("backup_verified", backup_id=backup.backup_id)
    return verified


def _verify_files(data: Path, backup: Backup, sources: Sources) -> None:
    done = subprocess.run(
        [sources.binaries.program("pg_verifybackup"), "--exit-on-error", "--quiet", str(data)],
        env={"PATH": f"{sources.binaries.folder}:{os.environ.get('PATH', '')}", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise BackupError("backup_broken", f"{backup.backup_id}: pg_verifybackup: {said}")


@contextmanager
def scratch(sources: Sources) -> Iterator[Path]:
    """A folder that the server user can reach, removed afterwards."""
    user = server_user()
    near = sources.folder if reachable(sources.folder, user) else Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=".restore-", dir=near))
    try:
        if user:
            os.chown(folder, user.uid, user.gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drill(backup: Backup, sources: Sources) -> Backup:
    """Boot the copy on a free port and compare it with what was there when it was taken, and with its own ledger.

    Raises:
        BackupError: ``backup_broken``, ``drill_failed`` (after it was recorded).
    """
    with scratch(sources) as folder:
        copy = _boot(backup, sources, folder)
        try:
            detail = _compare(backup, copy)
        finally:
            copy.stop("immediate")
    passed = not detail["problems"]
    drilled = replace(
        backup, drilled_at=datetime.now(UTC).isoformat(), drill_passed=passed, drill_detail=detail
    )
    update(drilled, sources.warehouse_dsn)
    if not passed:
        raise BackupError("drill_failed", f"{backup.backup_id}: {'; '.join(detail['problems'])}")
    logger.info("restore_drill_passed", backup_id=backup.backup_id, landings=detail["landings"])
    return drilled


def _boot(backup: Backup, sources: Sources, folder: Path) -> RestoredCluster:
    user = server_user()
    data = folder / "data"
    unpack(backup, data)
    _verify_files(data, backup, sources)
    as_primary(data)
    copy = RestoredCluster(
        "restored copy",
        data,
        free_port(),
        reachable_binaries(sources.binaries, user, folder),
        "",
        user,
        visitor=sources.standby_dsn,
    )
    # Nothing of the original's settings that reaches out (its WAL archive!) may come along.
    copy.configure({"archive_mode": "off", "fsync": "off", "shared_buffers": "64MB", "max_connections": 100})
    if user:
        user.own(data)
    copy.start(tied=True)
    return copy


_LEDGER = """
with landed as (
    select l.kind, sum(coalesce(cardinality(l.taken), l.records)) as records
    from collector.landing as l group by l.kind
),
ledger as (
    select b.kind, sum(length(replace(b.bits::bit(64)::text, '0', ''))) as records
    from collector.ledger_bitmap as b group by b.kind
)
select kind, coalesce(landed.records, 0), ledger.records from ledger left join landed using (kind) order by kind
"""


def _compare(backup: Backup, copy: Cluster) -> dict[str, Any]:
    problems = []
    with psycopg.connect(copy.dsn(backup.database), autocommit=True) as connection:
        row = connection.execute(
            "select count(*), coalesce(sum(uuid_hash_extended(landing_id, 0)::numeric), 0)::text"
            " from collector.landing where xid < %s::xid8",
            (str(backup.bound_xid),),
        ).fetchone()
        retired = dict(_retired(connection))
        ledger = connection.execute(_LEDGER).fetchall()
        recovery = connection.execute("select pg_is_in_recovery()").fetchone()
    assert row is not None  # noqa: S101 - an aggregate gives one row
    if (row[0], row[1]) != (backup.landings, backup.landing_hash):
        problems.append(f"{row[0]} landed requests, {backup.landings} when it was taken, or others")
    if recovery is None or recovery[0]:
        problems.append("the copy did not come out of recovery")
    counts = {}
    for kind, landed, known in ledger:
        counts[kind] = {"landed": int(landed) + retired.get(kind, 0), "ledger": int(known)}
        if counts[kind]["landed"] != counts[kind]["ledger"]:
            problems.append(f"{kind}: {counts[kind]['landed']} records landed, {known} in the ledger")
    return {"problems": problems, "landings": row[0], "records": counts}


def _retired(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    found = connection.execute("select to_regclass('collector.retired_day')").fetchone()
    if not found or found[0] is None:
        return []
    rows = connection.execute("select kind, sum(records) from collector.retired_day group by kind").fetchall()
    return [(kind, int(records)) for kind, records in rows]


def restore(
    backup: Backup, target: Path, *, until: datetime | None = None, wal_archive: Path | None = None
) -> None:
    """Prepare a data folder from a backup: start a server on it and it recovers.

    Args:
        until: recover to this moment (UTC-aware) instead of the end of what is there; needs the WAL archive.
        wal_archive: folder of archived WAL; with it the copy recovers beyond the backup, and promotes itself.

    Raises:
        BackupError: ``target_not_empty``, ``backup_broken``, ``too_early``, ``no_wal_archive``.
    """
    if until is not None and wal_archive is None:
        raise BackupError("no_wal_archive", "A restore to a moment needs the folder of archived WAL.")
    if until is not None and backup.finished_at and until < datetime.fromisoformat(backup.finished_at):
        raise BackupError(
            "too_early", f"{backup.backup_id} ended at {backup.finished_at}: choose an earlier backup."
        )
    unpack(backup, target)
    as_primary(target)
    if wal_archive is not None:
        lines = [f'restore_command = \'cp "{wal_archive}/%f" "%p"\'', "recovery_target_action = 'promote'"]
        lines.append("recovery_target_timeline = 'latest'")
        if until is not None:
            lines.append(f"recovery_target_time = '{until.astimezone(UTC).isoformat()}'")
        with (target / "postgresql.auto.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        (target / "recovery.signal").touch()
    user = server_user()
    if user:
        user.own(target)
    logger.info("backup_restored", backup_id=backup.backup_id, target=str(target))
