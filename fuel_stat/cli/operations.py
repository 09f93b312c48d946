"""Subcommands that work on a running stack: the pipeline through Airflow, the standby, the configuration page."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any

import typer

from fuel_stat.cli.progress import Progress
from fuel_stat.errors import OperatorError
from fuel_stat.settings import OptionRow, describe

pipeline_app = typer.Typer(help="Run the pipeline through Airflow.", no_args_is_help=True)
standby_app = typer.Typer(help="Look after the collector's standby.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the subcommands of this module to the application."""
    app.add_typer(pipeline_app, name="pipeline")
    app.add_typer(standby_app, name="standby")
    app.command()(config)


@pipeline_app.command("run")
def pipeline_run(
    wait: Annotated[bool, typer.Option(help="Follow the run to its end; exit code 1 when it fails.")] = False,
    dag: Annotated[
        str, typer.Option(help="Which DAG; after extract_load the build that it causes is followed too.")
    ] = "extract_load",
    conf: Annotated[str, typer.Option(help="The run's parameters, as a JSON object.")] = "{}",
) -> None:
    """Trigger a DAG, as its page in Airflow would."""
    from fuel_stat.stack import pipeline
    from fuel_stat.stack.airflow_api import AirflowApi
    from fuel_stat.stack.stack import open_stack

    stack = open_stack()
    with AirflowApi.of(stack.wiring) as api, Progress(sys.stderr) as progress:
        runs = pipeline.run(
            api, dag, _object(conf), wait=wait, timeout=stack.settings.pipeline_timeout, say=progress.say
        )
    for run in runs:
        print(f"{run.dag} {run.run_id} {run.state}")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OperatorError(
            "bad_conf", f"--conf {text!r} is not a JSON object, such as '{{\"chunk\": 100}}'."
        )
    return found


@standby_app.command("rebuild")
def standby_rebuild() -> None:
    """Throw the standby's copy away and make it anew from the primary, which goes on working meanwhile."""
    from fuel_stat.stack import databases
    from fuel_stat.stack.exclusive import exclusive
    from fuel_stat.stack.stack import open_stack

    stack = open_stack()
    if not stack.servers.primary.is_running():
        raise OperatorError(
            "primary_down", "The primary does not run, and only it can be copied: run `make up`."
        )
    with exclusive(stack.layout.home, "standby rebuild"), Progress(sys.stderr) as progress:
        progress.say("copying the primary")
        databases.rebuild(stack.servers)
    print("The standby was rebuilt and streams.")


@standby_app.command("stop")
def standby_stop() -> None:
    """Stop the standby, for maintenance; the collector goes on, the extraction waits for its return."""
    from fuel_stat.stack.stack import open_stack

    open_stack().servers.standby.stop()
    print("The standby is stopped; `fuel-stat standby start` brings it back.")


@standby_app.command("start")
def standby_start() -> None:
    """Start a stopped standby."""
    from fuel_stat.stack.stack import open_stack

    open_stack().servers.standby.start()
    print("The standby runs.")


#: Where services declare their options; named, not imported: this package knows no service.
_SETTINGS = (
    "fuel_stat.stack.settings",
    "ingest_api.settings",
    "analytics_api.settings",
    "warehouse.settings",
)


def config() -> None:
    """Show every option with the value that is in force here; secrets are masked."""
    for module in _SETTINGS:
        for row in _options(module):
            value = os.environ.get(row.env)
            shown = "***" if row.secret and value else value
            print(f"{row.env}={row.default if shown is None else shown}\n    {row.doc}")


def _options(module: str) -> Iterator[OptionRow]:
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        print(f"# {module} cannot be loaded: {error}", file=sys.stderr)
        return
    for thing in vars(loaded).values():
        if isinstance(thing, type) and is_dataclass(thing) and thing.__module__ == module:
            yield from describe(thing)
