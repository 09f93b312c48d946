"""Landed requests of some days are read again, and raw is made equal to them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from dags.wiring import DEFAULTS, RAW, dsn, mendable, pepper
from fuel_stat.errors import FuelStatError
from warehouse.reload import run_reload

DOC = """
### Backfill

Reads the landed requests of the receive days `from_day` … `to_day` (UTC, both included) again and makes `raw` equal
to them: missing rows come back, altered ones are mended, rows that were never landed are removed and kept aside.
Started by hand only; `build_marts` follows by itself when something changed.

**A rerun is safe**: an intact day is not touched. **When it fails**, read the task's log, mend, clear the task.
The same from the command line: `fuel-stat warehouse reload`.
"""

with DAG(
    dag_id="backfill",
    description="Make raw equal to what was landed on some days",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=12),
    tags=["layer:raw", "warehouse", "by-hand"],
    params={
        "from_day": Param(type="string", format="date", title="From (receive day, UTC)"),
        "to_day": Param(type="string", format="date", title="To (receive day, UTC)"),
        "kind": Param(
            "all",
            type="string",
            enum=["all", "action_logs", "installation_structure", "oswl_stats"],
            title="Kind",
        ),
    },
) as dag:

    @task(outlets=[RAW], pool="standby")
    def reload() -> dict[str, Any]:
        """Reload the days."""
        params = get_current_context()["params"]
        kinds = None if params["kind"] == "all" else [params["kind"]]
        try:
            report = run_reload(
                dsn("collector_standby"),
                dsn("analytic"),
                pepper(),
                date.fromisoformat(params["from_day"]),
                date.fromisoformat(params["to_day"]),
                kinds,
            )
        except FuelStatError as error:
            raise mendable(error) from error
        return {"inserted": report.inserted, "altered": report.altered, "removed": report.removed}

    reload()
