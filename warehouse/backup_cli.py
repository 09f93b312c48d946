"""``fuel-stat backups …``: take, list, verify, drill and restore base backups of the collector."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fuel_stat.errors import OperatorError
from fuel_stat.settings import from_env
from warehouse import backup, restore
from warehouse.backup_settings import BackupSettings, sources_from

app = typer.Typer(help="Base backups of the collector, from its standby.", no_args_is_help=True)
Id = Annotated[str | None, typer.Argument(help="A backup's id; by default the newest.", metavar="[ID]")]


def _settings() -> BackupSettings:
    found = from_env(BackupSettings, os.environ)
    if not found.folder:
        raise OperatorError("no_stack", "FUEL_STAT_BACKUPS is not set: is the stack there? `make up`.")
    return found


def _sources(*, reads_standby: bool = True) -> backup.Sources:
    found = _settings()
    if reads_standby and not (found.backup_dsn and found.standby_dsn):
        raise OperatorError("no_stack", "There is no running stack, and no addresses are set: run `make up`.")
    return sources_from(
        backup_dsn=found.backup_dsn, standby_dsn=found.standby_dsn, warehouse_dsn=found.warehouse_dsn
    )


@app.command("list")
def list_backups(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the backups that are there, newest first."""
    found = backup.catalogue(Path(_settings().folder))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    if not found:
        print("no backups yet: `fuel-stat backups create` takes one")
    for one in found:
        drilled = {True: "drill passed", False: "drill FAILED", None: "not drilled"}[one.drill_passed]
        print(
            f"{one.backup_id}  {one.state:9} {one.bytes / 1e6:9.1f} MB  {one.landings} landed requests"
            f"  {drilled}  {one.path}"
        )


@app.command("create")
def create() -> None:
    """Take a backup from the standby and verify it."""
    sources = _sources()
    taken = restore.verify(backup.create_backup(sources), sources)
    print(f"{taken.backup_id} taken and verified: {taken.bytes / 1e6:.1f} MB in {taken.path}")


app.command("take", hidden=True)(create)


@app.command("verify")
def verify(backup_id: Id = None) -> None:
    """Check every file of a backup against its manifest."""
    sources = _sources(reads_standby=False)
    checked = restore.verify(backup.find(sources.folder, backup_id), sources)
    print(f"{checked.backup_id} is intact")


@app.command("restore-drill")
def restore_drill(backup_id: Id = None) -> None:
    """Boot a copy of a backup on a free port and compare it with the ledger."""
    sources = _sources()
    drilled = restore.drill(backup.find(sources.folder, backup_id), sources)
    print(f"{drilled.backup_id} boots and agrees: {json.dumps(drilled.drill_detail)}")


app.command("drill", hidden=True)(restore_drill)


@app.command("restore")
def restore_backup(
    target: Annotated[Path, typer.Option("--to", help="An empty folder for the data.")],
    backup_id: Id = None,
    until: Annotated[
        str | None, typer.Option(help="Recover to this moment (UTC, ISO form) with the archived WAL.")
    ] = None,
    wal: Annotated[bool, typer.Option(help="Recover beyond the backup with the archived WAL.")] = False,
) -> None:
    """Prepare a data folder from a backup; start a Postgres on it and it recovers."""
    found = _settings()
    chosen = backup.find(Path(found.folder), backup_id)
    archive = Path(found.wal_archive) if found.wal_archive and (wal or until) else None
    restore.restore(chosen, target, until=_moment(until), wal_archive=archive)
    print(f"{chosen.backup_id} is laid out in {target}; docs/runbooks says how to start it.")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError("bad_moment", f"{text!r} is not a moment: write 2026-01-31T12:00:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
