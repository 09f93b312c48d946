"""``fuel-stat warehouse …``, ``fuel-stat reconcile`` and ``fuel-stat import-legacy``."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from fuel_stat.errors import OperatorError
from warehouse.cli_publish import register as register_publish
from warehouse.settings import Settings, command_settings

app = typer.Typer(help="Extraction, reloads and publications of the warehouse.", no_args_is_help=True)
_console = Console()


def _settings() -> Settings:
    return command_settings(os.environ)


@app.command()
def extract(
    chunk_landings: Annotated[int, typer.Option(min=1, help="Landed requests a transaction.")] = 1_000,
    accept_new_source: Annotated[
        bool, typer.Option(help="Go on although the source has nothing of what was loaded.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Load everything that has landed since the last load, from the standby."""
    from warehouse.extract import Options, run_extract

    found = _settings()
    report = run_extract(
        found.standby_dsn,
        found.warehouse_dsn,
        found.pepper_bytes(),
        primary_dsn=found.admin_dsn,
        options=Options(
            chunk_landings=chunk_landings,
            accept_new_source=accept_new_source,
            reason="manual",
            thresholds=found.thresholds(),
        ),
    )
    if as_json:
        print(json.dumps(_plain(report), indent=2))
        return
    print(
        f"{report.records} records of {report.landings} landed requests, {report.contacts} contacts,"
        f" {report.bytes} bytes in {report.seconds:.2f} s; watermark {report.to_xid}."
    )
    for alarm in report.alarms:
        typer.echo(f"alarm {alarm.code}: {alarm.sentence}", err=True)


@app.command()
def loads(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The latest loads: window, rows, bytes, lag, who held the window, alarms."""
    columns = (
        "load_id, state, mode, reason, from_xid::text, to_xid::text, landings, records, contacts, removed, bytes,"
        " round(lag_seconds::numeric, 1)::float as lag_seconds, oldest_transaction, alarms,"
        " finished_at, superseded_by, error"
    )
    with psycopg.connect(_settings().warehouse_dsn) as connection:
        cursor = connection.execute(f"select {columns} from ops.load order by load_id desc limit {limit:d}")
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
        return
    shown = [
        "load_id",
        "state",
        "mode",
        "from_xid",
        "to_xid",
        "landings",
        "records",
        "contacts",
        "removed",
        "lag_seconds",
    ]
    table = Table(*shown, "held by", "alarms", "finished")
    for row in rows:
        alarms = ", ".join(alarm["code"] for alarm in row["alarms"]) or row["error"] or ""
        finished = f"{row['finished_at']:%F %T}" if row["finished_at"] else ""
        table.add_row(
            *(str(row[name]) for name in shown), _holder(row["oldest_transaction"]), alarms, finished
        )
    _console.print(table)


def _holder(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    if "database" not in found:
        return f"xid {found['xid']}"
    return f"{found['database']} pid {found['pid']} {found['role']} {found['application'] or ''}".strip()


def _plain(value: Any) -> Any:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(value), default=str))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise OperatorError("bad_day", f"{text!r} is not a day: write YYYY-MM-DD.") from error


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@app.command()
def drift() -> None:
    """Look through the loads that extractions left, for paths never seen before (table ops.schema_path)."""
    from warehouse.drift import scan_drift

    report = scan_drift(_settings().warehouse_dsn)
    print(f"{report.loads} loads, {report.records} records looked through: {report.new} new paths")


@app.command()
def reload(
    first: Annotated[str, typer.Option("--from", help="First receive day (UTC), YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="Last receive day (UTC), included.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind; may be given several times.")
    ] = None,
) -> None:
    """Read landed requests of some days again and make raw equal to them; an intact day is not touched."""
    from warehouse.reload import run_reload

    found = _settings()
    report = run_reload(
        found.standby_dsn, found.warehouse_dsn, found.pepper_bytes(), _day(first), _day(last), kind or None,
        reason="manual",
    )  # fmt: skip
    print(
        f"{report.days} days, {report.read} records read: {report.inserted} inserted, {report.altered} altered,"
        f" {report.removed} removed."
    )
    if report.archived:
        typer.echo(
            f"not compared, their partitions are archived: {', '.join(map(str, report.archived))}", err=True
        )


def reconcile(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the counts and contents along the data's way; exit 1 when they disagree."""
    from fuel_stat.state import home
    from warehouse.integrity_reconcile import STAGES, reconcile_counts

    found = _settings()
    tally = home() / "fleet" / "tally.json"
    result = reconcile_counts(found.standby_dsn, found.warehouse_dsn, found.pepper_bytes(), tally)
    if as_json:
        document = {"agrees": result.agrees, "kinds": result.counts, "mismatches": result.mismatches}
        print(json.dumps(document, indent=2))
    else:
        table = Table("kind", *STAGES)
        for kind, counts in result.counts.items():
            failed = result.failed.get(kind)
            cells = ["–" if counts[stage] is None else str(counts[stage]) for stage in STAGES]
            cells[0] += f" ({failed} failed)" if failed else ""
            table.add_row(kind, *cells)
        _console.print(table)
        for sentence in result.mismatches:
            print(f"mismatch: {sentence}")
        print("all stages agree" if result.agrees else "the stages disagree")
    if not result.agrees:
        raise typer.Exit(1)


def import_legacy(
    dsn: Annotated[
        str, typer.Option(help="The original collector's database: postgresql://user:password@host:port/db")
    ],
) -> None:
    """Take over the database of an original collector, with its dates and decisions; resumes where it stopped."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    from warehouse.legacy import run_legacy_import

    found = _settings()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(table, total=total)
            bars.update(tasks[table], completed=done, total=total)

        report = run_legacy_import(dsn, found.admin_dsn, progress=show)
    for table, read in report.read.items():
        print(f"{table}: {read} rows read, {report.landed[table]} records landed.")


register_publish(app)
