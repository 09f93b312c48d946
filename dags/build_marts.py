"""Build, test, audit and publish the marts."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from dags.shared import DEFAULTS, MARTS, RAW, START, address, pepper

LAYERS = {
    "staging_intermediate": "Seeds, staging and intermediate models",
    "marts": "The star schema",
    "reports": "What the API answers from",
}

DOC = """
### build_marts

Turns `raw` into the star schema and publishes it: pin the loads → audit raw ∥ dbt, layer by layer → audit the marts and the integrity
equation → publish. **Readers see nothing of it until the last step moves one row** (`ops.published`); until then, and whenever anything
fails, they keep the numbers they have.

**Schedule.** Whenever `extract_load` has updated the asset `fuel_stat_raw`, and every quarter of an hour as a safety net. Where nothing is new,
the first task is skipped and so is the rest.

**Safe to run again?** Always, whatever killed the last run: a run that is gone is declared `abandoned` and its loads are new again.

**Parameters.** `force`: build although nothing is new. `full_refresh`: build the incremental models from all of raw (slow; the same rows).

**When it fails**
1. *audit_raw*, *audit_marts*: a blocking expectation failed. The log names it and examples; so do `/data-docs/`, `/api/v1/status` and
   `select * from ops.audit_trend where not succeeded`. Mend the data (`backfill` reloads days) or the rule; the next run publishes.
2. *staging_intermediate*, *marts*, *reports* (`dbt_failed`): the log has each model and test with its time, the failed ones with their message.
   `dbt build --select <model>` repeats one by hand.
3. *publish* `lock_timeout`: a reader holds a view whose columns change. It was retried; end the reader
   (`select * from pg_stat_activity`) and clear the task.
4. Wrong numbers went out? `fuel-stat warehouse publications`, then `fuel-stat warehouse rollback`: takes effect at once.
"""


@dag(
    dag_id="build_marts",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=[RAW]
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULTS | {"pool": "warehouse"},
    tags=["fuel-stat", "transform", "publish"],
    doc_md=DOC,
    params={
        "force": Param(
            False, type="boolean", title="Build although nothing is new",
            description="Otherwise a run over the same loads is skipped.",
        ),
        "full_refresh": Param(
            False, type="boolean", title="Build everything from the beginning",
            description="Incremental models are built from all of raw. Gives the same rows, takes longer.",
        ),
    },
)  # fmt: skip
def build_marts() -> None:
    """A task group a layer; each task is one process of its own."""

    def places() -> Any:
        from warehouse.pipeline import Places

        return Places(address("analytic"), address("collector_standby"), pepper())

    @task
    def pin_loads(params: dict[str, Any], run_id: str) -> int:
        """Open a publication over the loads that are there now."""
        from warehouse.pipeline import begin

        forced = bool(params["force"] or params["full_refresh"])
        publication = begin(places(), reason=run_id.split("__", maxsplit=1)[0], run_id=run_id, force=forced)
        if publication is None:
            raise AirflowSkipException("nothing new since the last publication")
        return publication

    # Beside the first layers, on the other core: it blocks the publication, not the build.
    @task(pool="default_pool", inlets=[RAW])
    def audit_raw(publication: int) -> None:
        """Great Expectations: the suite of the way in."""
        from warehouse import pipeline

        pipeline.audit_raw(places(), publication)

    @task
    def build(publication: int, layer: str, params: dict[str, Any]) -> dict[str, float]:
        """dbt build of a layer: its models and tests with their status and time."""
        from warehouse import pipeline

        results = pipeline.build(
            places(), publication, layer, full_refresh=params["full_refresh"], tell=print
        )
        return {
            result.name: round(result.seconds, 2) for result in results if result.resource_type == "model"
        }

    @task
    def audit_marts(publication: int) -> None:
        """Great Expectations: the suite of the way out, and the integrity equation."""
        from warehouse import pipeline

        pipeline.audit_marts(places(), publication)

    @task(outlets=[MARTS])
    def publish(publication: int) -> None:
        """Stage the differences, then move the pointer."""
        from warehouse import pipeline

        pipeline.publish_build(places(), publication, tell=print)

    publication = pin_loads()

    @task_group(group_id="raw", tooltip="What came in")
    def raw_group() -> Any:
        return audit_raw(publication)

    audited = raw_group()
    before: Any = None
    for name, what in LAYERS.items():

        @task_group(group_id=name, tooltip=what)
        def layer_group(layer: str) -> Any:
            return build.override(task_id="dbt_build")(publication, layer)

        built = layer_group(name)
        if before is not None:
            before >> built
        before = built

    @task_group(group_id="publication", tooltip="Audit, stage, switch")
    def publication_group() -> None:
        out = audit_marts(publication)
        before >> out
        [audited, out] >> publish(publication)

    publication_group()


build_marts()
