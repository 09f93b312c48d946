"""Stopping the standby while nodes send loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Stack


def tried_in_vain(stack: Stack) -> bool:
    """Whether an extraction's task shows in Airflow as failed, or as waiting for its next try."""
    runs = stack.airflow("GET", "dags/extract_load/dagRuns", params={"limit": 3, "order_by": "-run_after"})
    for run in runs["dag_runs"]:
        path = f"dags/extract_load/dagRuns/{run['dag_run_id']}/taskInstances"
        states = {task["state"] for task in stack.airflow("GET", path)["task_instances"]}
        if states & {"up_for_retry", "failed"}:
            return True
    return False


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_a_stopped_standby_delays_and_loses_nothing(stack: Stack) -> None:
    """The collector takes all, the extraction fails visibly and is tried again; afterwards every count agrees."""
    stack.run_pipeline(timeout=500)
    try:
        assert stack.cli("standby", "stop").returncode == 0
        sent = stack.cli("fleet", "run", "--nodes", "6", "--seed", "1972")
        assert sent.returncode == 0, sent.stderr
        assert stack.cli("reconcile").returncode == 1  # what was sent is not there yet, and that is said
        stack.wait_until(lambda: tried_in_vain(stack), "the extraction fails visibly in Airflow", 180)
    finally:
        assert stack.cli("standby", "start").returncode == 0
    stack.wait_until(lambda: stack.cli("reconcile").returncode == 0, "all counts agree again", 500)
