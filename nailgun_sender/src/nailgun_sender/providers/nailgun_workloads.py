"""The reference workload provider: what a Nailgun's own collectors last saw in its clouds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Engine

from ..sanitise.workloads import RESOURCES
from . import ClusterWorkload
from .nailgun_database import NailgunDatabase, Reader, Row, by
from .nailgun_settings import flattened

_COLUMNS = ("id", "cluster_id", "resource_type", "created_date", "updated_time", "resource_data")


class NailgunWorkloads:
    """A WorkloadProvider over a Nailgun-like database.

    Nailgun's collectors look at each operational cluster's OpenStack and keep a row a day in
    ``oswl_stats``; the newest row's ``current`` is what is there. A cluster whose operator switched
    the workloads collector off (``workloads_collector.enabled``), or that is gone, is left out.
    """

    def __init__(self, engine: Engine) -> None:
        self._database = NailgunDatabase(engine)

    def workloads(self) -> Iterable[ClusterWorkload]:
        """Return the newest look at each cluster and type; raises ProviderError."""
        with self._database.reading() as reader:
            versions = _versions(reader)
            rows = reader.rows("oswl_stats", _COLUMNS)
        newest = {(row["cluster_id"], row["resource_type"]): row for row in _in_order(rows)}
        told = []
        for (cluster_id, resource_type), row in sorted(newest.items()):
            data = row.get("resource_data")
            if cluster_id not in versions or resource_type not in RESOURCES:
                continue
            if isinstance(data, Mapping) and isinstance(data.get("current"), list):
                told.append(ClusterWorkload(cluster_id, resource_type, data["current"], versions[cluster_id]))
        return told


def _in_order(rows: list[Row]) -> list[Row]:
    # drivers hand dates and times as objects or as text; both sort the same way as text
    return sorted(rows, key=lambda row: (str(row.get("created_date")), str(row.get("updated_time"))))


def _versions(reader: Reader) -> Mapping[Any, Row]:
    releases = {
        row["id"]: row for row in reader.rows("releases", ("id", "name", "version", "operating_system"))
    }
    attributes = by(reader.rows("attributes", ("cluster_id", "editable")), "cluster_id")
    told = {}
    for row in reader.rows("clusters", ("id", "release_id", "fuel_version")):
        settings = attributes.get(row["id"], [{}])[0].get("editable") or {}
        if flattened(settings).get("workloads_collector_enabled") is False:
            continue
        release = releases.get(row.get("release_id"), {})
        told[row["id"]] = {
            "fuel_version": row.get("fuel_version"),
            "environment_version": _environment(release.get("version")),
            "release_version": release.get("version"),
            "release_name": release.get("name"),
            "release_os": release.get("operating_system"),
        }
    return told


def _environment(version: object) -> str | None:
    # "newton-10.0" is OpenStack's release and ours
    return version.rpartition("-")[2] if isinstance(version, str) else None
