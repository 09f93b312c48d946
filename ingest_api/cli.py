"""``fuel-stat quarantine``: look at what was set aside, and take it after the schema was mended."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from fuel_stat.errors import OperatorError
from fuel_stat.identity import node_id
from fuel_stat.state import read_state
from ingest_api import quarantine as ward

quarantine = typer.Typer(
    help="What the collector set aside: list, show, replay, discard.", no_args_is_help=True
)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind of statistics.")]
_Node = Annotated[str | None, typer.Option("--node", help="Only the node of this uid.")]
_Reason = Annotated[str | None, typer.Option("--reason", help="Only this reason code.")]


def admin_dsn() -> str:
    """The address of the collector's primary as fuel_admin, checked.

    Raises:
        OperatorError: ``no_collector`` / ``collector_unreachable``.
    """
    dsn = os.environ.get("FUEL_STAT_COLLECTOR_ADMIN_DSN") or read_state().get("dsns", {}).get(
        "collector_admin"
    )
    if not dsn:
        sentence = (
            "The collector's database is not known: run `make up`, or set FUEL_STAT_COLLECTOR_ADMIN_DSN."
        )
        raise OperatorError("no_collector", sentence)
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        sentence = "The collector's database does not answer: is the stack running (`fuel-stat status`)?"
        raise OperatorError("collector_unreachable", sentence) from error
    return str(dsn)


@quarantine.command("list")
def list_entries(
    state: Annotated[str, typer.Option(help="open, replayed, discarded or all.")] = "open",
    kind: _Kind = None,
    node: _Node = None,
    reason: _Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 100,
    as_json: _Json = False,
) -> None:
    """What was set aside, oldest first."""
    if state not in ("open", "replayed", "discarded", "all"):
        raise OperatorError("bad_state", f"--state {state}: expected open, replayed, discarded or all.")
    rows = ward.entries(
        admin_dsn(),
        state=None if state == "all" else state,
        kind=kind,
        node=node_id(node) if node else None,
        reason_code=reason,
        limit=limit,
    )
    if as_json:
        typer.echo(json.dumps([_shown(row) for row in rows]))
        return
    for row in rows:
        where = "" if row.position is None else f" position {row.position}"
        typer.echo(
            f"{row.quarantine_id:>6} {row.state:<9} {row.kind:<22} {row.reason_code:<18} seen {row.seen_count}"
            f" {row.last_seen:%Y-%m-%d %H:%M} uid {row.uid or '-'}{where}: {row.reason}"
        )
    typer.echo(f"{len(rows)} entries")


@quarantine.command("show")
def show(quarantine_id: Annotated[int, typer.Argument(help="From `list`.")], as_json: _Json = False) -> None:
    """One entry with the (redacted) text that was kept."""
    row = _one(quarantine_id)
    shown = {**_shown(row), "payload": row.text()}
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        typer.echo(f"{name}: {value}")


@quarantine.command("replay")
def replay(
    ids: Annotated[list[int] | None, typer.Argument(help="Entries; all open ones by default.")] = None,
    kind: _Kind = None,
    node: _Node = None,
    reason: _Reason = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would happen.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Send entries through the schemas and the code of today; exit code 1 when some are still refused."""
    folder = os.environ.get("FUEL_STAT_INGEST_KINDS")
    outcomes = ward.replay(
        admin_dsn(),
        ids=ids or (),
        kind=kind,
        node=node_id(node) if node else None,
        reason_code=reason,
        dry_run=dry_run,
        kinds_folder=Path(folder) if folder else None,
    )
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes]))
    else:
        for outcome in outcomes:
            typer.echo(
                f"{outcome.quarantine_id:>6} {outcome.kind:<22} - {outcome.was:<18}"
                f" + {outcome.outcome:<10} {outcome.reason}"
            )
        counts = Counter(outcome.outcome for outcome in outcomes)
        summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing to do"
        typer.echo(f"{'would be: ' if dry_run else ''}{summary}")
    if any(outcome.outcome in ("failed", "no_payload") for outcome in outcomes):
        raise typer.Exit(1)


@quarantine.command("discard")
def discard(ids: Annotated[list[int], typer.Argument(help="Entries from `list`.")]) -> None:
    """Mark entries as seen and not wanted; they stay, out of the way."""
    count = ward.settle(admin_dsn(), ids, "discarded")
    if count != len(set(ids)):
        raise OperatorError("no_entry", f"Only {count} of {len(set(ids))} entries exist.")
    typer.echo(f"{count} discarded")


def _one(quarantine_id: int) -> ward.Entry:
    rows = ward.entries(admin_dsn(), ids=[quarantine_id], state=None)
    if not rows:
        raise OperatorError("no_entry", f"There is no entry {quarantine_id} in the quarantine.")
    return rows[0]


def _shown(row: ward.Entry) -> dict[str, Any]:
    shown = dataclasses.asdict(row)
    shown.pop("payload")
    shown["node"] = str(row.node) if row.node else None
    shown["first_seen"], shown["last_seen"] = row.first_seen.isoformat(), row.last_seen.isoformat()
    return shown
