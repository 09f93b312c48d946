"""The landing table always has partitions ahead of it; old ones leave when they may."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from dags.shared import DEFAULTS, START, address

DOC = """
### maintain_partitions

Makes the landing table's monthly partitions ahead of time and, where a retention is asked for, lets old ones go that were extracted
**and** lie inside a verified backup. The ledger of record keys is never thinned.

**Schedule.** Every day at 01:10 UTC. Three months are always ahead, so that weeks of failures do no harm; the runway is in
`fuel-stat status` and in the collector's readiness.

**Safe to run again?** Always. What exists is left alone; a detach that was cut off is finished by the next run.

**Parameters.** `months_ahead`; `retain_months`: partitions that ended longer ago may go (0, the default: none ever).

**When it fails**
1. `lock_timeout`: a long transaction holds the table (`select * from pg_stat_activity` on the primary). It was retried; end it, clear the task.
2. `primary_unavailable`: `fuel-stat status`. By hand, afterwards: `fuel-stat partitions ensure`.
"""


@dag(
    dag_id="maintain_partitions",
    schedule=CronTriggerTimetable("10 1 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULTS,
    tags=["fuel-stat", "partitions"],
    doc_md=DOC,
    params={
        "months_ahead": Param(3, type="integer", minimum=3, maximum=120, title="Months ahead"),
        "retain_months": Param(
            0, type="integer", minimum=0, maximum=1200, title="Months that partitions are kept",
            description="0 keeps everything.",
        ),
    },
)  # fmt: skip
def maintain_partitions() -> None:
    """Make new ones first: retention may fail without harm."""

    @task
    def ensure_ahead(params: dict[str, Any]) -> dict[str, int]:
        """Partitions of this month and the next ones."""
        from warehouse.partitions import maintain

        done = maintain(address("collector_primary"), months_ahead=params["months_ahead"])
        return {"created": done.created, "runway_days": done.runway_days}

    @task
    def retire_old(params: dict[str, Any]) -> list[str]:
        """Old partitions that may go; says what became of each."""
        from warehouse.backup import catalogue
        from warehouse.backup_settings import folder
        from warehouse.retention import retire

        decisions = retire(
            address("collector_primary"),
            address("analytic"),
            catalogue(folder()),
            months=params["retain_months"],
        )
        return [f"{one.partition}: {one.reason}" for one in decisions]

    ensure_ahead() >> retire_old()


maintain_partitions()
