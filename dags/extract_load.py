"""Extraction from the collector's standby into raw, as often as the machine can take it."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.shared import DEFAULTS, LANDED, RAW, START, address, pepper

DOC = """
### extract_load

Loads everything that has landed at the collector since the last run from its **standby** into `raw`.

**Schedule.** When something has landed: a watch in the triggerer looks at the standby every second and updates the asset
`fuel_stat_landed`, so that a run begins when the last has ended and the machine is idle when no node sends. While dbt builds, the next
run is held until the build has got its tables (a minute at most). Every five minutes one runs anyway, should the watch be down.
A run that finds nothing new is *skipped*; one that loaded something updates `fuel_stat_raw`, which starts `build_marts`.

**Safe to run again?** Always. Rows and watermark are written in one transaction; a run killed at any moment leaves nothing behind, and
the next one takes up from the watermark. Loading a window twice changes nothing.

**Parameters.** `chunk_landings`: landed requests a transaction. `accept_new_source`: go on although the source shares no history
with what was loaded (only after an intended restore, see the runbook).

**When it fails**
1. `source_unavailable`: the standby is down or cannot be reached. `fuel-stat status`; start it, or `fuel-stat standby rebuild`. The collector
   goes on meanwhile, nothing is lost: the next run loads it all.
2. `extraction_running`: a reload, backfill or an erasure holds the lock. It is retried by itself.
3. `source_went_back`, `source_shares_no_history`: the primary was restored. Read `docs/runbooks` before you do anything else.
4. No runs although nodes send: look for `watch_cannot_ask` in the triggerer's log (`fuel-stat logs airflow-triggerer`).
5. Anything else: the task's log has the code and a sentence; `select * from ops.load order by load_id desc` has the history.
"""


@dag(
    dag_id="extract_load",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=[LANDED]
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULTS,
    tags=["fuel-stat", "extract"],
    doc_md=DOC,
    params={
        "chunk_landings": Param(
            1000, type="integer", minimum=1, maximum=100000, title="Landed requests a transaction",
            description="Smaller chunks hold less memory and commit more often.",
        ),
        "accept_new_source": Param(
            False, type="boolean", title="Accept a source that shares no history",
            description="Only after an intended restore of the collector.",
        ),
    },
)  # fmt: skip
def extract_load() -> None:
    """One task: everything else is in ``warehouse.extract``."""

    @task(pool="standby", inlets=[LANDED], outlets=[RAW], retries=3, retry_delay=timedelta(seconds=10))
    def extract(params: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Load what is new; skipped when nothing is."""
        from warehouse.extract import Options, run_extract
        from warehouse.settings import alarm_thresholds

        report = run_extract(
            address("collector_standby"),
            address("analytic"),
            pepper(),
            primary_dsn=address("collector_primary"),
            reason=run_id.split("__", maxsplit=1)[0],
            options=Options(
                chunk_landings=params["chunk_landings"],
                accept_new_source=params["accept_new_source"],
                thresholds=alarm_thresholds(),
            ),
        )
        if report.load_id is None or not (report.records or report.contacts or report.removed):
            raise AirflowSkipException("nothing new has landed")
        return {"load_id": report.load_id, "landings": report.landings, "records": report.records}

    extract()


extract_load()
