"""``fuel-stat partitions …``: list and make the landing table's partitions, let old ones go."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from fuel_stat.errors import OperatorError
from fuel_stat.settings import from_env
from warehouse import backup, partitions, retention
from warehouse.backup_settings import BackupSettings
from warehouse.settings import settings

app = typer.Typer(help="Monthly partitions of the collector's landing table.", no_args_is_help=True)


@app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the partitions and how many days ahead are covered."""
    dsn = settings(os.environ).admin_dsn
    found, runway = partitions.partitions(dsn), partitions.runway_days(dsn)
    if as_json:
        print(
            json.dumps(
                {"partitions": [asdict(one) for one in found], "runway_days": runway}, indent=2, default=str
            )
        )
        return
    for one in found:
        print(
            f"{one.name}  {one.lower:%Y-%m-%d} to {one.upper:%Y-%m-%d}  ~{one.rows} rows  {one.bytes / 1e6:.1f} MB"
        )
    print(f"covered for {runway} days from today")


@app.command("ensure")
def ensure(
    months_ahead: Annotated[int, typer.Option(help="Months made ahead of this one.", min=3, max=120)] = 3,
    first: Annotated[
        str | None, typer.Option("--from", help="First day (UTC) of a range to cover instead.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day (UTC) of that range.")] = None,
) -> None:
    """Make the partitions that are missing."""
    dsn = settings(os.environ).admin_dsn
    if first or last:
        created = partitions.ensure(dsn, _day(first or last), _day(last or first))
    else:
        created = partitions.maintain(dsn, months_ahead=months_ahead).created
    print(f"{created} made, covered for {partitions.runway_days(dsn)} days from today")


@app.command("retire")
def retire(
    months: Annotated[int, typer.Option(help="Partitions that ended more than so many months ago.", min=1)],
) -> None:
    """Let old partitions go that were extracted and backed up."""
    found = settings(os.environ)
    folder = from_env(BackupSettings, os.environ).folder
    decisions = retention.retire(
        found.admin_dsn, found.warehouse_dsn, backup.catalogue(Path(folder)) if folder else [], months=months
    )
    for one in decisions:
        print(f"{one.partition}: {'retired' if one.retired else 'kept'}, {one.reason}")
    if not decisions:
        print(f"no partition ended more than {months} months ago")


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError as error:
        raise OperatorError("bad_day", f"{text!r} is not a day: write YYYY-MM-DD.") from error
