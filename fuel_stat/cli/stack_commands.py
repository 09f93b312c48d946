"""The stack's subcommands: up, down, reset, status, logs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Annotated

import typer

from fuel_stat.cli.progress import Progress
from fuel_stat.errors import FuelStatError, OperatorError


def register(app: typer.Typer) -> None:
    """Add the subcommands of this module to the application."""
    for command in (up, down, reset, status, logs):
        app.command()(command)


def export_environment() -> None:
    """Give the addresses of a stack that exists to the services' commands, where the caller has not set them."""
    from fuel_stat.stack.stack import open_stack

    try:
        wiring = open_stack().wiring
    except FuelStatError:
        return
    for name, value in wiring.shared().items():
        if not name.endswith("_PORT"):
            os.environ.setdefault(name, value)


def up(
    demo: Annotated[
        bool,
        typer.Option(help="Send the demonstration's traffic and run the pipeline, the first time."),
    ] = True,
    schedule: Annotated[bool, typer.Option(help="Let the DAGs run on their schedules.")] = True,
) -> None:
    """Start the whole stack and return when it is healthy; what runs already is left alone."""
    from fuel_stat.stack import demonstration, stack, summary
    from fuel_stat.stack.exclusive import exclusive
    from fuel_stat.stack.layout import layout, prepare

    prepare(layout())
    with exclusive(layout().home, "up"), Progress(sys.stderr) as progress:
        running = stack.up(progress.say)
        export_environment()
        shown = demonstration.complete(running, demo=demo, schedule=schedule, say=progress.say)
    print(summary.text(running, shown))


def down() -> None:
    """Stop the whole stack; the data stays."""
    from fuel_stat.stack import stack
    from fuel_stat.stack.exclusive import exclusive
    from fuel_stat.stack.layout import layout

    where = layout()
    if not (where.home / "state.json").exists():
        print("Nothing runs: there is no stack yet.")
        return
    with exclusive(where.home, "down"), Progress(sys.stderr) as progress:
        killed = stack.down(progress.say)
    print("Stopped." + (f" Had to be killed: {', '.join(killed)}." if killed else ""))


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the stack and delete its data, secrets and logs, after asking."""
    from fuel_stat.stack import stack
    from fuel_stat.stack.exclusive import exclusive
    from fuel_stat.stack.layout import layout

    where = layout()
    if not where.home.exists():
        print(f"Nothing to delete: there is no {where.home}.")
        return
    if not (yes or os.environ.get("YES") == "1"):
        if not sys.stdin.isatty():
            raise OperatorError(
                "not_confirmed", f"This deletes {where.home}: say so with --yes (make reset YES=1)."
            )
        typer.confirm(f"Delete all data, secrets and backups in {where.home}?", abort=True)
    with exclusive(where.home, "reset"), Progress(sys.stderr) as progress:
        if (where.home / "state.json").exists():
            stack.down(progress.say)
        stack.reset()
    print(f"Deleted {where.home}.")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; its keys are stable.")] = False,
) -> None:
    """Say what runs and how fresh the data is. Exit code 0 when all is healthy, else 1."""
    from fuel_stat.cli.tables import status_table
    from fuel_stat.stack.stack import open_stack
    from fuel_stat.stack.status import collect, healthy

    answer = collect(open_stack())
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        status_table(answer)
    raise typer.Exit(0 if healthy(answer) else 1)


def logs(
    name: Annotated[str, typer.Argument(help="A service or server; without it the names are listed.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show the log of a service: ingest, analytics, reports, airflow-scheduler, primary, …"""
    files = _log_files()
    if not name:
        print("\n".join(sorted(files)))
        return
    if name not in files:
        known = ", ".join(sorted(files)) or "none yet"
        raise OperatorError("unknown_log", f"There is no log {name!r}; there is: {known}.")
    with files[name].open(errors="replace") as file:
        sys.stdout.writelines(deque(file, maxlen=lines))
        while follow:
            sys.stdout.write(file.read())
            sys.stdout.flush()
            time.sleep(0.2)


def _log_files() -> dict[str, Path]:
    from fuel_stat.stack.stack import open_stack

    stack = open_stack()
    files = {path.stem: path for path in stack.layout.logs.glob("*.log")}
    return files | {cluster.name: cluster.log for cluster in stack.servers.all() if cluster.log.exists()}
