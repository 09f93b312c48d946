"""What all DAG files share: connections by id, the assets between them, retries, and whom a failure tells."""
# ruff: noqa: PLC0415 - a task imports what it needs: parsing this file does no work, its prints are the log

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher, BaseHook, ExceptionRetryPolicy, RetryAction, RetryRule

from dags.watch import LandedTrigger

LANDED = Asset(
    name="fuel_stat_landed",
    uri="postgres://collector/collector/collector/landing",
    group="collector",
    extra={"what": "requests as the collector accepted them, redacted and compressed"},
    watchers=[AssetWatcher(name="fuel_stat_landed", trigger=LandedTrigger())],
)
RAW = Asset(
    name="fuel_stat_raw",
    uri="postgres://analytic/analytic/raw/records",
    group="warehouse",
    extra={"what": "redacted records as the nodes sent them, one row each"},
)
MARTS = Asset(
    name="fuel_stat_marts",
    uri="postgres://analytic/analytic/marts/published",
    group="warehouse",
    extra={"what": "the star schema and reports that readers see"},
)
START = datetime(2026, 1, 1, tzinfo=UTC)

# What these say will be the same at the next attempt: a person or the next run has to change something first.
_FINAL = [
    "warehouse.audit.AuditError",
    "warehouse.dbt_runner.DbtError",
    "warehouse.publish.PublicationError",
    "warehouse.errors.IntegrityError",
    "warehouse.freshness.StaleError",
    "fuel_stat.errors.OperatorError",
]


def address(connection_id: str) -> str:
    """The libpq URL of an Airflow connection."""
    from fuel_stat.postgres.dsn import Dsn

    found = BaseHook.get_connection(connection_id)
    return str(Dsn(found.host, found.port, found.schema, found.login, found.password))


def pepper() -> bytes:
    """The secret of the pseudonyms."""
    return bytes.fromhex(BaseHook.get_connection("pseudonym_pepper").password)


def failed(context: Mapping[str, Any]) -> None:
    """A task failed for good: say so where people look, and close its publication with the reason."""
    from warehouse.pipeline_alerts import Failure, report

    task = context["task_instance"]
    failure = Failure(task.dag_id, task.task_id, task.run_id, task.try_number, context.get("exception"))
    report(failure, address("analytic"))


DEFAULTS: dict[str, Any] = {
    "owner": "fuel-stat",
    "depends_on_past": False,
    "retries": 2,
    "retry_delay": timedelta(seconds=15),
    "retry_policy": ExceptionRetryPolicy(rules=[RetryRule(exception=_FINAL, action=RetryAction.FAIL)]),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": failed,
}
