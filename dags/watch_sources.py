"""Somebody is told when nothing arrives any more."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from dags.shared import DEFAULTS, START, address

DOC = """
### watch_sources

Looks how old the newest record of each source is (`dbt source freshness`; the limits stand beside the sources, in
`dbt_project/models/staging/_staging__sources.yml`). Where no node was heard from for a day and more, the run fails and tells.

**Schedule.** Every six hours. It belongs to no publication: where nothing arrives, nothing is published either.

**Safe to run again?** Always. It only reads.

**Parameters.** `fail`: off, the log says what is stale and the run succeeds.

**When it fails**
1. `sources_stale` names the source and its age. Is the collector reached (`fuel-stat status`, a node's `ping`), does `extract_load` succeed?
   The runbook `extraction-fails.md` goes on from there.
2. Nodes are not expected to report (an import, a demonstration that was switched off)? Pause this DAG.
3. By hand: `fuel-stat warehouse freshness`.
"""


@dag(
    dag_id="watch_sources",
    schedule=CronTriggerTimetable("20 */6 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULTS,
    tags=["fuel-stat", "warehouse"],
    doc_md=DOC,
    params={"fail": Param(True, type="boolean", title="Fail where a source is stale")},
)
def watch_sources() -> None:
    """One look."""

    @task
    def look(params: dict[str, bool]) -> list[str]:
        """How old the newest record of each source is, a line each."""
        from warehouse import freshness, pipeline

        found = freshness.check(pipeline.Places(address("analytic")), fail=params["fail"])
        return [source.sentence for source in found]

    look()


watch_sources()
