"""From raw to published marts: audit what came in, build layer by layer, audit what was built, publish."""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, Param, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from airflow.timetables.trigger import CronTriggerTimetable

from dags.wiring import DEFAULTS, MARTS, RAW, mendable, places
from fuel_stat.errors import FuelStatError
from warehouse import dbt_runner, pipeline

DOC = """
### Build, audit, publish

1. **prepare** pins the set of loads that this publication covers and audits the new raw rows.
2. **build**: dbt, one task a layer; each model's and test's status and time is in the task's log.
3. **audit** checks the marts and the integrity equation (ledger = landed = raw = fact).
4. **publish** stages the differences and switches readers over by updating one row.

Readers see the earlier publication until step 4, whatever happens before.

**A rerun is safe**: each step asks the database how far its publication is. A run that was killed leaves its loads
marked as new; the next run builds them.

**When it fails**

| task | what to do |
|---|---|
| prepare, audit | a check that blocks has failed: `fuel-stat warehouse publications`, Data Docs, docs/runbooks. The published numbers stay up. |
| build.* | the task's log names the model or test; mend it and clear the task. |
| publish | `lock timeout`: a reader holds on to a changed table's view; it is tried again. |

Back to the publication before: `fuel-stat warehouse rollback`.
"""

with DAG(
    dag_id="build_marts",
    description="raw → staging → intermediate → marts → reports → published",
    doc_md=DOC,
    # The asset starts a run as soon as rows came in; the clock is the safety net for rows whose event was lost.
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("17 * * * *", timezone="UTC"), assets=[RAW]),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "pool": "warehouse", "retries": 2},
    dagrun_timeout=timedelta(hours=6),
    tags=["layer:marts", "dbt", "audit", "warehouse"],
    params={
        "full_refresh": Param(
            False, type="boolean", title="Full refresh", description="Rebuild every incremental model."
        ),
        "force": Param(
            False, type="boolean", title="Force", description="Build and publish although nothing is new."
        ),
    },
) as dag:

    @task
    def prepare() -> int:
        """Open the publication and audit the new raw rows; skipped when nothing is new."""
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        try:
            publication_id = pipeline.begin(
                places(),
                reason=str(run.run_type),
                run_id=run.run_id,
                force=params["force"] or params["full_refresh"],
            )
            if publication_id is None:
                raise AirflowSkipException("Nothing new to build.")
            pipeline.audit_raw(places(), publication_id)
        except FuelStatError as error:
            raise mendable(error) from error
        return publication_id

    def build_layer(layer: str, publication_id: int) -> int:
        """Run dbt for one layer and log what each node did."""
        full_refresh = get_current_context()["params"]["full_refresh"]
        log = logging.getLogger("dbt")
        try:
            pipeline.build(places(), publication_id, layer, full_refresh=full_refresh, tell=log.info)
        except FuelStatError as error:
            raise mendable(error) from error
        return publication_id

    @task_group
    def build(publication_id: int) -> int:
        """dbt, one task a layer."""
        for layer in dbt_runner.LAYERS:
            publication_id = task(build_layer, task_id=layer)(layer, publication_id)
        return publication_id

    @task
    def audit(publication_id: int) -> int:
        """Check the marts and the integrity equation; a check that blocks ends the run here."""
        try:
            pipeline.audit_marts(places(), publication_id)
        except FuelStatError as error:
            raise mendable(error) from error
        return publication_id

    @task(outlets=[MARTS])
    def publish(publication_id: int) -> int:
        """Let readers see it."""
        try:
            pipeline.publish_build(places(), publication_id, tell=logging.getLogger("publish").info)
        except FuelStatError as error:
            raise mendable(error) from error
        return publication_id

    publish(audit(build(prepare())))
