"""What has landed at the collector is brought into raw, as soon as it is there."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.wiring import DEFAULTS, RAW, dsn, mendable, pepper
from fuel_stat.errors import FuelStatError
from warehouse.extract import Options, run_extract

DOC = """
### Extract and load

Reads what has landed since the last run **on the standby** and writes it to `raw`, one row a record.
A run waits up to `patience_seconds` for something new, loads it, and ends; the next run starts at once, so freshness
follows the machine. With nothing new the run is *skipped* and nothing downstream starts.

**A rerun is safe**: rows and watermark are written in one transaction; a window loaded twice changes nothing.

**When it fails**

| message | what to do |
|---|---|
| `source_unavailable` | the standby is down: `fuel-stat status`, then `fuel-stat up` or `fuel-stat standby rebuild`. Nothing is lost. |
| `source_shares_no_history` | another database answers where the collector was: check the connection `collector_standby`; if it is meant, run with `accept_new_source`. |
| `extraction_running` | another extraction holds the lock: it ends by itself or with its process. |
| alarms about lag or an open transaction | `fuel-stat warehouse loads` names the session that holds the window. |
"""

_PAUSE_SECONDS = 1.0

with DAG(
    dag_id="extract_load",
    description="Collector (standby) → raw",
    doc_md=DOC,
    schedule="@continuous",
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=6),
    tags=["layer:raw", "collector", "warehouse"],
    params={
        "patience_seconds": Param(
            30,
            type="integer",
            minimum=0,
            maximum=600,
            title="Patience",
            description="Seconds to wait for new rows.",
        ),
        "chunk_landings": Param(
            2000,
            type="integer",
            minimum=1,
            maximum=100000,
            title="Chunk",
            description="Requests read at a time.",
        ),
        "accept_new_source": Param(
            False,
            type="boolean",
            title="Accept a new source",
            description="The collector's database was replaced on purpose by one without common history.",
        ),
    },
) as dag:

    @task(outlets=[RAW], pool="standby")
    def extract() -> dict[str, Any]:
        """Load everything that has landed; skipped when nothing has within the patience."""
        context = get_current_context()
        params = context["params"]
        options = Options(
            chunk_landings=params["chunk_landings"],
            accept_new_source=params["accept_new_source"],
            reason=str(context["dag_run"].run_type),
        )
        deadline = time.monotonic() + params["patience_seconds"]
        while True:
            try:
                report = run_extract(
                    dsn("collector_standby"),
                    dsn("analytic"),
                    pepper(),
                    primary_dsn=dsn("collector_primary"),
                    options=options,
                )
            except FuelStatError as error:
                raise mendable(error) from error
            if report.load_id is not None:
                break
            if time.monotonic() >= deadline:
                raise AirflowSkipException("Nothing new has landed.")
            time.sleep(_PAUSE_SECONDS)
        log = logging.getLogger(__name__)
        log.info("%s landings, %s records, %.1f s", report.landings, report.records, report.seconds)
        for alarm in report.alarms:
            log.warning("%s: %s", alarm.code, alarm.sentence)
        return {"load_id": report.load_id, "landings": report.landings, "records": report.records}

    extract()
