"""After the start: the demonstration's traffic, once, and the pipeline through Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fuel_stat.errors import FuelStatError
from fuel_stat.stack import pipeline
from fuel_stat.stack.airflow_api import AirflowApi
from fuel_stat.stack.services import Service, present
from fuel_stat.stack.stack import Stack, start_service
from fuel_stat.state import read_state, write_state

#: How long Airflow may take to read all DAG files of a new stack, in seconds.
_DAGS_TIMEOUT = 120.0
#: Runs of Airflow older than this leave its metadata; it is looked at once a day, at ``up``.
_KEEP_RUNS = timedelta(days=14)


class DemonstrationError(FuelStatError):
    """The demonstration's traffic could not be sent."""


def complete(stack: Stack, *, demo: bool, schedule: bool, say: Callable[[str], None]) -> list[str]:
    """Bring a started stack to work: traffic where it is wanted and was not sent, DAGs running.

    Returns:
        What was done, in sentences for the operator.
    """
    done = []
    sent = _send(stack, say) if demo else []
    done += sent
    if "airflow" in stack.settings.left_out:
        return [*done, "Airflow was left out: the pipeline was not run."]
    if not any((stack.layout.repository / "dags").glob("*.py")):
        return [*done, "There are no DAGs: the pipeline was not run."]
    with AirflowApi.of(stack.wiring) as api:
        dags, errors = pipeline.ready(api, say, timeout=_DAGS_TIMEOUT)
        done += [f"A DAG file cannot be read: {error}" for error in errors]
        if demo and not read_state(stack.layout.home).get("demo", {}).get("pipeline"):
            pipeline.unpause(api, [pipeline.BUILD])
            runs = pipeline.run(
                api, pipeline.EXTRACT, None, wait=True, timeout=stack.settings.pipeline_timeout, say=say
            )
            done += [f"{run.dag} ran in Airflow: {run.state}." for run in runs]
            _remember(stack, "demo", "pipeline")
        if schedule:
            pipeline.unpause(api, dags)
    _clean_airflow(stack)
    return done


def _send(stack: Stack, say: Callable[[str], None]) -> list[str]:
    """The simulated fleet and, where it is there, the recorded traffic; each once in a stack's life."""
    settings, done = stack.settings, []
    known = read_state(stack.layout.home).get("demo", {})
    steps: list[tuple[str, str, Sequence[str]]] = []
    if present("fleet.cli") and present("ingest_api.wsgi"):
        fleet = ("run", "--nodes", str(settings.demo_nodes), "--seed", str(settings.demo_seed))
        steps.append(("fleet", "sending the simulated fleet", fleet))
        if _recorded().is_dir():
            steps.append(("recorded", "sending recorded traffic", ("replay",)))
    for name, shown, arguments in steps:
        if not known.get(name):
            say(shown)
            done = [_fleet(arguments)]  # the tally counts all that was ever sent
            _remember(stack, "demo", name)
    return done


def _fleet(arguments: Sequence[str]) -> str:
    command = [sys.executable, "-m", "fuel_stat.cli.main", "fleet", *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)
    if ended.returncode != 0:
        sentence = (
            f"`fuel-stat fleet {' '.join(arguments)}` ended with {ended.returncode}: the lines above say why."
        )
        raise DemonstrationError("demo_failed", sentence)
    return ended.stdout.strip()


def _recorded() -> Path:
    named = os.environ.get("FUEL_STAT_RECORDED")
    data = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return data / "nailgun"


def _remember(stack: Stack, group: str, name: str) -> None:
    state: dict[str, Any] = read_state(stack.layout.home)
    state.setdefault(group, {})[name] = datetime.now(UTC).isoformat()
    write_state(state, stack.layout.home)


def _clean_airflow(stack: Stack) -> None:
    """Let old runs leave Airflow's metadata, beside everything else: tasks themselves may not touch it."""
    state = read_state(stack.layout.home)
    last = state.get("airflow_cleaned")
    now = datetime.now(UTC)
    state["airflow_cleaned"] = now.isoformat()
    if last is not None and now - datetime.fromisoformat(last) > timedelta(days=1):
        before = (now - _KEEP_RUNS).isoformat()
        arguments = ["db", "clean", "--clean-before-timestamp", before, "--skip-archive", "--yes"]
        start_service(stack, Service("airflow-clean", [sys.executable, "-m", "airflow", *arguments]))
    if last is None or now - datetime.fromisoformat(last) > timedelta(days=1):
        write_state(state, stack.layout.home)
