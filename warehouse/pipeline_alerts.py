"""Who is told when a step of the pipeline has failed for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fuel_stat import log
from warehouse import pipeline

logger = log.get(__name__)


def task_failed(context: Mapping[str, Any], warehouse_dsn: str) -> None:
    """Fail the run's open publication with the reason, and say so in the log.

    Args:
        context: Airflow's, of the task that failed: ``dag_run``, ``task_instance``, ``exception``.
        warehouse_dsn: libpq URL of the analytic database.
    """
    error = context.get("exception")
    code = str(getattr(error, "code", "task_failed"))
    run_id = str(context["dag_run"].run_id)
    task_id = str(context["task_instance"].task_id)
    logger.error("task_failed", dag=context["dag_run"].dag_id, task=task_id, run_id=run_id, code=code)
    pipeline.give_up(warehouse_dsn, run_id, code, f"{task_id}: {error}")
