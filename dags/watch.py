"""The event that starts an extraction: something has landed. Runs in the triggerer, where waiting costs nothing."""
# ruff: noqa: PLC0415 - imported where it runs: parsing a DAG file that names it does no work

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseHook
from airflow.triggers.base import BaseEventTrigger, TriggerEvent


class LandedTrigger(BaseEventTrigger):
    """Fires when an extraction is worth starting; ``source`` and ``warehouse`` are ids of Airflow connections."""

    def __init__(self, source: str = "collector_standby", warehouse: str = "analytic") -> None:
        super().__init__()
        self.source = source
        self.warehouse = warehouse

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return "dags.watch.LandedTrigger", {"source": self.source, "warehouse": self.warehouse}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event each time, with the reason; it never ends by itself."""
        from warehouse.pipeline_watch import Watch

        addresses = [await _address(connection) for connection in (self.source, self.warehouse)]
        async for reason in Watch(*addresses).reasons():
            yield TriggerEvent({"reason": reason})


async def _address(connection_id: str) -> str:
    from fuel_stat.postgres.dsn import Dsn

    found = await BaseHook.aget_connection(connection_id)
    return str(Dsn(found.host, found.port, found.schema, found.login, found.password))
