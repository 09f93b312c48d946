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


def acknowledged(stack: Stack) -> int:
    """How many actions the collector has taken: the bits of its ledger."""
    query = (
        "select coalesce(sum(bit_count(bits::bit(64))), 0)::bigint"
        " from collector.ledger_bitmap where kind = 'action_logs'"
    )
    return int(stack.rows("primary", query)[0][0])


def published(stack: Stack) -> int:
    """How many actions readers see; none before the first publication."""
    if stack.rows("analytic", "select to_regclass('marts.fct_action') is null") == [(True,)]:
        return 0
    return int(stack.rows("analytic", "select count(*) from marts.fct_action")[0][0])


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_a_stopped_standby_delays_and_loses_nothing(stack: Stack) -> None:
    """The collector takes all, the extraction fails visibly and is tried again; afterwards every count agrees."""
    for dag in ("extract_load", "build_marts"):
        stack.airflow("PATCH", f"dags/{dag}", params={"update_mask": "is_paused"}, json={"is_paused": False})
    before = acknowledged(stack)
    try:
        assert stack.cli("standby", "stop").returncode == 0
        sent = stack.cli("fleet", "run", "--nodes", "6", "--seed", "1972")
        assert sent.returncode == 0, sent.stderr
        expected = acknowledged(stack)
        assert expected > before
        stack.wait_until(lambda: tried_in_vain(stack), "the extraction fails visibly in Airflow", 180)
        assert published(stack) < expected
    finally:
        assert stack.cli("standby", "start").returncode == 0
    stack.wait_until(lambda: published(stack) == expected, "every acknowledged action is published", 600)
    stack.wait_until(lambda: stack.cli("reconcile").returncode == 0, "all counts agree", 60)
