"""Reload days from the collector and build again, by hand."""
# ruff: noqa: PLC0415, T201 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task

from dags.shared import DEFAULTS, START, address, pepper

DOC = """
### backfill

Reads the landed requests of some receive days (UTC, both included) again, makes `raw` equal to them, and has `build_marts` build and publish.

**Schedule.** None: trigger it with the days.

**Safe to run again?** Always. An intact day is not touched; what is taken out of raw is kept in `raw.removed_record`.

**Parameters.** `first_day`, `last_day`; `kinds` (none chosen: all); `full_refresh`: build the incremental models from the beginning.

**When it fails**
1. *reload*: as `extract_load`. Days whose partition is archived cannot be compared; the log names them, restore them from a backup first.
2. *build*: open the run of `build_marts` that it names; its own page says what to do.
"""


@dag(
    dag_id="backfill",
    schedule=None,
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    default_args=DEFAULTS,
    tags=["fuel-stat", "extract", "manual"],
    doc_md=DOC,
    params={
        "first_day": Param("2026-01-01", type="string", format="date", title="First receive day (UTC)"),
        "last_day": Param("2026-01-01", type="string", format="date", title="Last receive day (UTC), included"),
        "kinds": Param(
            [], type="array", items={"type": "string"}, title="Kinds",
            examples=["action_logs", "installation_structure", "oswl_stats"],
            description="One a line, for example action_logs. Empty: all.",
        ),
        "full_refresh": Param(False, type="boolean", title="Build everything from the beginning"),
    },
)  # fmt: skip
def backfill() -> None:
    """Reload, then build."""

    @task(pool="standby", execution_timeout=timedelta(hours=6))
    def reload(params: dict[str, Any]) -> dict[str, Any]:
        """Make raw equal to what was landed on those days."""
        from fuel_stat.errors import OperatorError
        from warehouse.reload import run_reload

        first, last = (date.fromisoformat(params[name]) for name in ("first_day", "last_day"))
        if last < first:
            raise OperatorError("bad_day", f"last_day {last} is before first_day {first}.")
        report = run_reload(
            address("collector_standby"), address("analytic"), pepper(), first, last, params["kinds"] or None,
            reason="backfill",
        )  # fmt: skip
        for day in report.archived:
            print(f"not compared, its partition is archived: {day}")
        changed = {"inserted": report.inserted, "altered": report.altered, "removed": report.removed}
        return {"changed": changed, "build": {"force": True, "full_refresh": params["full_refresh"]}}

    reloaded = reload()

    build = TriggerDagRunOperator(
        task_id="build",
        trigger_dag_id="build_marts",
        # As an object, not as a template: a rendered "false" would be text.
        conf=reloaded["build"],
        wait_for_completion=True,
        poke_interval=5,
        execution_timeout=timedelta(hours=6),
    )
    reloaded >> build


backfill()
