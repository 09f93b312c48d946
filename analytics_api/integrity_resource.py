"""``/api/v1/integrity``: whether every record is where it must be, along the data's whole way."""

from __future__ import annotations

from typing import Any

import falcon

from analytics_api.database import Marts, Row
from analytics_api.parameters import period_of
from analytics_api.status_resource import shown

STAGES = ("ledger", "landed", "raw", "fact", "published")
_OVERALL = """
    select coalesce(bool_and(agrees), true) as agrees, max(checked_at) as checked_at,
        count(*) as checked, count(*) filter (where not agrees) as disagreeing
    from ops.integrity
"""
_DAYS = """
    select * from ops.integrity
    where received_day between :from_date and :to_date
    order by received_day desc, kind, tier
    limit 10000
"""


def shown_day(row: Row) -> dict[str, Any]:
    """One (receive day, kind, tier): records and an order-independent hash at each stage, null where there is none."""
    stages = {}
    for stage in STAGES:
        digest = row[f"{stage}_hash"]
        stages[stage] = {
            "records": row[f"{stage}_count"],
            "hash": None if digest is None else str(digest),
        }
    return {
        "day": shown(row["received_day"]),
        "kind": row["kind"],
        "tier": row["tier"],
        "agrees": row["agrees"],
        "disagreement": row["disagreement"],
        "checked_at": shown(row["checked_at"]),
        "stages": stages,
    }


class IntegrityResource:
    """The latest check of each receive day, kind and trust tier."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the verdict over all days and the days of the period; 400 for a wrong period."""
        period = period_of(request)
        with self._marts.snapshot() as snapshot:
            overall = snapshot.rows(_OVERALL)[0]
            days = snapshot.rows(_DAYS, from_date=period.from_date, to_date=period.to_date)
        response.media = {
            "agrees": overall["agrees"],
            "checked_at": shown(overall["checked_at"]),
            "checked": overall["checked"],
            "disagreeing": overall["disagreeing"],
            "days": [shown_day(row) for row in days],
        }
