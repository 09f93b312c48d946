"""What all DAG files share: connections by id, the assets, and the policy of every task."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Connection
from airflow.sdk.exceptions import AirflowFailException

from fuel_stat.errors import FuelStatError
from fuel_stat.postgres.dsn import Dsn
from warehouse import pipeline_alerts
from warehouse.pipeline import Places

RAW = Asset("raw_records", uri="x-fuel-stat://analytic/raw")
MARTS = Asset("published_marts", uri="x-fuel-stat://analytic/marts")

OWNER = "fuel-stat"
#: Failures that trying again cannot mend: a person, or the next run with other data, has to.
FINAL_CODES = frozenset({"audit_failed", "wrong_state", "source_went_back", "source_shares_no_history"})


def dsn(connection_id: str) -> str:
    """The libpq URL of an Airflow connection (host, port, schema = database, login, password)."""
    found = Connection.get(connection_id)
    address = Dsn(
        found.host or "127.0.0.1",
        found.port or 5432,
        found.schema or "",
        found.login or "",
        found.password or "",
    )
    return str(address)


def pepper() -> bytes:
    """The secret of the pseudonyms, kept in the connection ``pseudonym_pepper``."""
    return bytes.fromhex(Connection.get("pseudonym_pepper").password or "")


def places(*, home: Path | None = None) -> Places:
    """Where a build reads and writes."""
    return Places(dsn("analytic"), dsn("collector_standby"), pepper(), home)


def on_failure(context: Any) -> None:
    """A task failed for good: its open publication fails with the reason, and people are told."""
    pipeline_alerts.task_failed(context, dsn("analytic"))


def mendable(error: FuelStatError) -> Exception:
    """The error itself where another try may help, else one that makes Airflow stop trying."""
    if error.code in FINAL_CODES:
        return AirflowFailException(str(error))
    return error


DEFAULTS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": on_failure,
}
