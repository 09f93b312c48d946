"""Whom an extraction's alarm tells: the same ways as a failed task, once, when it begins.

While an alarm stands, every load row repeats it (``ops.load.alarms``) and every run logs it; mailbox and webhook are
told again only after a load that did not have it.
"""
# ruff: noqa: PLC0415 - what sends mail is imported when there is something to send: a run is short and frequent

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from fuel_stat import log
from warehouse.errors import ExtractionError
from warehouse.extract_alarms import Alarm

_log = log.get(__name__)


def standing_alarms(connection: psycopg.Connection[Any]) -> frozenset[str]:
    """The codes of the alarms that the latest load had."""
    row = connection.execute(
        "select coalesce(array(select a ->> 'code' from jsonb_array_elements(alarms) as a), '{}') from ops.load"
        " where state = 'loaded' order by load_id desc limit 1"
    ).fetchone()
    return frozenset(row[0] if row else ())


def tell_alarms(
    alarms: Sequence[Alarm], standing: frozenset[str], reason: str, warehouse_dsn: str
) -> list[Alarm]:
    """Log all, and tell of those that did not stand before; returns these."""
    new = [alarm for alarm in alarms if alarm.code not in standing]
    for alarm in alarms:
        _log.warning("extraction_alarm", **alarm.as_json())
    if new:
        from warehouse.pipeline_alerts import Failure, report

        for alarm in new:
            error = ExtractionError(alarm.code, alarm.sentence)
            report(Failure("extract_load", "alarm", reason, 1, error), warehouse_dsn)
    return new
