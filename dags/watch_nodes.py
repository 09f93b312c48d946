"""Nodes whose uid seems to be used by two machines are flagged."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from dags.shared import DEFAULTS, START, address

DOC = """
### watch_nodes

Looks for cloned machines in what was landed (structures that alternate, ids that go back) and flags their nodes for the operator:
`fuel-stat nodes list`. It reads the standby and writes a row a finding on the primary.

**Schedule.** Every day at 02:40 UTC.

**Safe to run again?** Always. A finding is kept once, with a counter.

**Parameters.** `days`: how far to look back.

**When it fails**
1. `node_watch_failed` with `database_down`: `fuel-stat status`. It is tried again tomorrow; nothing else waits for it.
2. By hand: `fuel-stat nodes flag`. What to do with a finding: the runbook `identity-conflict.md`.
"""


@dag(
    dag_id="watch_nodes",
    schedule=CronTriggerTimetable("40 2 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULTS,
    tags=["fuel-stat", "collector"],
    doc_md=DOC,
    params={"days": Param(7, type="integer", minimum=1, maximum=400, title="Days to look back")},
)  # fmt: skip
def watch_nodes() -> None:
    """One look."""

    @task(pool="standby")
    def flag_clones(params: dict[str, Any]) -> list[str]:
        """The findings, one a line."""
        from warehouse.node_watch import flag_clones as flag

        return flag(address("collector_primary"), address("collector_standby"), days=params["days"])

    flag_clones()


watch_nodes()
