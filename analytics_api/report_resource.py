"""``/api/v1/json/report/installations`` and ``/api/v1/json/summary``: the numbers of the front page."""

from __future__ import annotations

from typing import Any

import falcon

from analytics_api.database import Marts, Row, Snapshot

_DISTRIBUTION = """
    select measure, item, sum(amount)::bigint as amount
    from marts.rpt_installation_distribution
    where :release = '' or release = :release
    group by measure, item
    order by measure, item
"""
_RELEASES = """
    select release, sum(amount)::bigint as amount
    from marts.rpt_installation_distribution
    where measure = 'installations' and release <> ''
    group by release
    order by release
"""
_SUMMARY = "select * from marts.rpt_summary"


PUBLICATION_HEADER = "Fuel-Stat-Publication"


def name_publication(response: falcon.Response, snapshot: Snapshot) -> None:
    """Say which publication an answer shows, so that a page can tell that its answers belong together."""
    number = snapshot.publication()
    if number is not None:
        response.set_header(PUBLICATION_HEADER, number)
    response.cache_control = ["no-cache"]


def distribution(rows: list[Row]) -> dict[str, Any]:
    """Measures and items as the nested answer that the contract describes; what is absent is zero."""
    measures: dict[str, dict[str, int]] = {}
    for row in rows:
        measures.setdefault(row["measure"], {})[row["item"]] = row["amount"]
    return {
        "installations": {
            "count": sum(measures.get("installations", {}).values()),
            "environments_num": measures.get("environments_num", {}),
        },
        "environments": {
            "count": sum(measures.get("environments", {}).values()),
            "operable_envs_count": sum(measures.get("operable_envs_count", {}).values()),
            "statuses": measures.get("statuses", {}),
            "nodes_num": measures.get("nodes_num", {}),
            "hypervisors_num": measures.get("hypervisors_num", {}),
            "oses_num": measures.get("oses_num", {}),
        },
    }


class InstallationReportResource:
    """Counts and distributions over unfiltered installations, all or of one release."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the distributions; an unknown release gives zeros."""
        release = request.get_param("release", default="")
        with self._marts.snapshot() as snapshot:
            name_publication(response, snapshot)
            response.media = distribution(snapshot.rows(_DISTRIBUTION, release=release.replace("\0", "?")))


class ReleasesResource:
    """The releases that unfiltered installations report, with their counts: what a filter can offer."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 ``{"releases": [{"release", "installations"}…]}``, in the order of their version numbers."""
        with self._marts.snapshot() as snapshot:
            name_publication(response, snapshot)
            rows = snapshot.rows(_RELEASES)
        rows.sort(key=lambda row: version_order(row["release"]))
        response.media = {
            "releases": [{"release": row["release"], "installations": row["amount"]} for row in rows]
        }


def version_order(release: str) -> list[tuple[int, str]]:
    """A key that sorts 9.0 before 10.0 and texts by letter."""
    return [(int(part) if part.isdecimal() else -1, part) for part in release.split(".")]


class SummaryResource:
    """Totals of all kinds of statistics."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the totals."""
        with self._marts.snapshot() as snapshot:
            name_publication(response, snapshot)
            row = snapshot.first(_SUMMARY) or {}
        response.media = {
            "action_logs": {"total": row.get("action_logs_total", 0)},
            "installation_structures": {
                "total": row.get("installation_structures_total", 0),
                "filtered": row.get("installation_structures_filtered", 0),
                "not_filtered": row.get("installation_structures_not_filtered", 0),
            },
            "oswl_stats": {"total": row.get("oswl_stats_total", 0)},
        }
