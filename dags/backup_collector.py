"""A verified base backup of the collector, taken from its standby."""
# ruff: noqa: PLC0415, T201 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from dags.shared import DEFAULTS, START, address

DOC = """
### backup_collector

Takes a base backup **from the standby** (the primary does not notice), checks every file against Postgres's manifest, lists it in the
catalogue (`fuel-stat backups list`), removes old ones and the archived WAL that none of the rest needs.

**Schedule.** Every night at 02:40 UTC; on Sundays the copy is booted and compared with the ledger as well.

**Safe to run again?** Always. A backup that was cut off is never listed, and its folder is removed by the next run.

**Parameters.** `keep`: verified backups that stay; the newest one always does. `drill`: boot the copy this time.

**When it fails**
1. `standby_unavailable`: `fuel-stat status`; start the standby or `fuel-stat standby rebuild`, then clear the task.
2. `no_space`: the backups' folder is full; `fuel-stat backups list` shows what is there. Lower `keep` or move the folder.
3. `backup_broken`, `drill_failed`: do not trust that backup. Take another at once; if that fails too, look at the disks.
"""


@dag(
    dag_id="backup_collector",
    schedule=CronTriggerTimetable("40 2 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    default_args=DEFAULTS,
    tags=["fuel-stat", "backup"],
    doc_md=DOC,
    params={
        "keep": Param(7, type="integer", minimum=1, maximum=1000, title="Verified backups that stay"),
        "drill": Param(
            False, type="boolean", title="Restore drill",
            description="Boot the copy on a free port and compare it with the ledger.",
        ),
    },
)  # fmt: skip
def backup_collector() -> None:
    """Take, verify, maybe drill, prune."""

    def sources() -> Any:
        from warehouse.backup_settings import sources_from

        return sources_from(
            backup_dsn=address("collector_backup"),
            standby_dsn=address("collector_standby"),
            warehouse_dsn=address("analytic"),
        )

    @task(pool="standby", execution_timeout=timedelta(hours=6))
    def take() -> str:
        """The base backup."""
        from warehouse.backup import create_backup

        return create_backup(sources()).backup_id

    @task(execution_timeout=timedelta(hours=6))
    def check(backup_id: str, params: dict[str, Any], logical_date: Any = None) -> str:
        """Every file against the manifest; the drill when it is asked for, and on Sundays."""
        from warehouse import backup, restore

        found = restore.verify(backup.find(sources().folder, backup_id), sources())
        if params["drill"] or (logical_date is not None and logical_date.weekday() == 6):
            print(restore.drill(found, sources()).drill_detail)
        return backup_id

    @task
    def prune(backup_id: str, params: dict[str, Any]) -> list[str]:
        """Old backups, and WAL that none of the rest needs."""
        from warehouse.backup import prune as remove_old
        from warehouse.backup_settings import wal_archive

        return remove_old(sources(), params["keep"], wal_archive())

    prune(check(take()))


backup_collector()
