"""Running the pipeline through Airflow and following it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from fuel_stat.errors import FuelStatError
from fuel_stat.stack.airflow_api import AirflowApi, Run

#: The DAG that brings the data, and the one that its asset event starts.
EXTRACT, BUILD = "extract_load", "build_marts"
#: All DAGs that a complete stack has running.
DAGS = (
    EXTRACT, BUILD, "backfill", "backup_collector", "maintain_partitions", "watch_nodes", "watch_sources",
)  # fmt: skip
#: At most one task at a time reads the standby, and one writes the marts.
POOLS: Mapping[str, int] = {"standby": 1, "warehouse": 1}

_POLL_SECONDS = 1.0


class PipelineError(FuelStatError):
    """A run failed or did not end in time."""


def ready(api: AirflowApi, say: Callable[[str], None], *, timeout: float) -> tuple[list[str], list[str]]:
    """Make the pools and wait until Airflow has read the DAG files.

    Returns:
        The DAGs' ids, and what is wrong with files that could not be read, a line each.

    Raises:
        PipelineError: ``dag_import_failed`` when the pipeline's own DAGs are not among them.
    """
    api.ensure_pools(POOLS)
    deadline = time.monotonic() + timeout
    while True:
        known = api.dags()
        errors = api.import_errors()
        found = [dag for dag in DAGS if dag in known]
        complete = len(found) == len(DAGS)
        if complete or time.monotonic() > deadline or (errors and {EXTRACT, BUILD} <= known.keys()):
            break
        say("waiting for Airflow to read the DAGs")
        time.sleep(_POLL_SECONDS)
    if not {EXTRACT, BUILD} <= known.keys():
        why = errors[0] if errors else f"it did not appear within {timeout:.0f} s"
        raise PipelineError("dag_import_failed", f"Airflow cannot read {EXTRACT} or {BUILD}: {why}.")
    return found, errors


def unpause(api: AirflowApi, dags: list[str]) -> None:
    """Let the DAGs run on their schedules."""
    paused = api.dags()
    for dag in dags:
        if paused.get(dag):
            api.pause(dag, False)
    if EXTRACT in dags and paused.get(EXTRACT):
        # The watch that starts it is taken up when its file is read.
        api.reparse(EXTRACT)


def run(
    api: AirflowApi,
    dag: str,
    conf: Mapping[str, Any] | None,
    *,
    wait: bool,
    timeout: float,
    say: Callable[[str], None],
) -> list[Run]:
    """Trigger a DAG; follow it, and after the extraction the build of what it loaded (skipped when nothing was new).

    Returns:
        The runs, each as it was when it was last looked at.

    Raises:
        PipelineError: ``pipeline_failed``, ``pipeline_timeout``.
    """
    api.ensure_pools(POOLS)
    # Triggered while it is paused, the run stands in line before those that the schedule will make.
    first = api.trigger(dag, conf)
    unpause(api, [dag, BUILD] if dag == EXTRACT else [dag])
    say(f"{dag}: {first.run_id}")
    if not wait:
        return [first]
    deadline = time.monotonic() + timeout
    runs = [follow(api, first, deadline, say)]
    if dag == EXTRACT and BUILD in api.dags():
        runs.append(follow(api, _build(api, runs[0], deadline, say), deadline, say))
    return runs


def follow(api: AirflowApi, of: Run, deadline: float, say: Callable[[str], None]) -> Run:
    """Wait for the end of a run, saying which of its tasks run."""
    while True:
        now = api.run(of.dag, of.run_id)
        tasks = api.tasks(now)
        if now.state == "failed":
            failed = [task.task_id for task in tasks if task.state in ("failed", "upstream_failed")]
            sentence = f"{now.dag} failed at {', '.join(failed[:3]) or 'its start'} (run {now.run_id})."
            raise PipelineError("pipeline_failed", f"{sentence} See `fuel-stat logs` or Airflow's page.")
        done = sum(task.state in ("success", "skipped") for task in tasks)
        active = [
            _shown(task.task_id, task.try_number)
            for task in tasks
            if task.state in ("running", "up_for_retry")
        ]
        say(f"{now.dag}: {done}/{len(tasks)} tasks done" + (f", now {', '.join(active)}" if active else ""))
        if now.finished:
            return now
        _check(deadline, f"{now.dag} ({now.run_id}) is still {now.state}")
        time.sleep(_POLL_SECONDS)


def _build(api: AirflowApi, cause: Run, deadline: float, say: Callable[[str], None]) -> Run:
    """The build that covers what the extraction could load.

    The one that its asset event started, maybe together with other events. An extraction that found nothing new changes
    no asset: another run was quicker and took the rows, and whether they are published nobody knows. So a build is
    triggered; it stands in line behind one that is under way, and is skipped when nothing is left to do.
    """
    if not api.has_events(cause):
        return api.trigger(BUILD)
    while True:
        for run in api.runs(BUILD):
            if cause.run_id in api.caused_by(run):
                return run
        say(f"waiting for {BUILD}")
        _check(deadline, f"{BUILD} was not started by {cause.run_id}")
        time.sleep(_POLL_SECONDS)


def _shown(task: str, tries: int) -> str:
    return task if tries <= 1 else f"{task} (try {tries})"


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise PipelineError(
            "pipeline_timeout", f"{what}: it goes on in Airflow, but nobody waits for it any more."
        )
