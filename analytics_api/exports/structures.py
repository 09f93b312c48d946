"""The exports that are made from the latest structure of each installation: clusters, nodes, plugins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from analytics_api.database import Row, Snapshot
from analytics_api.exports.flatten import cells
from analytics_api.exports.skeleton import (
    CLUSTER,
    INSTALLATION,
    NODE,
    PLUGIN,
    Path,
    Skeleton,
    column,
    columns,
    paths,
)
from analytics_api.exports.table import Table
from analytics_api.parameters import Period

# Created or modified since the first day, created or modified until the end of the last (the contract, section 2).
# An undecided (null) filter flag counts as not filtered here, as it did in the original's exports.
_CHOSEN = """
    select s.installation_key, s.created_at, s.modified_at, s.structure{more}
    from marts.rpt_structure as s{join}
    where s.is_filtered is not true
        and (s.created_at >= :from_date or s.modified_at >= :from_date)
        and (s.created_at <= :day_after or s.modified_at <= :day_after)
    order by s.structure_number, s.installation_key
"""
_VERIFICATIONS = """
    left join lateral (
        select jsonb_object_agg(last.cluster_id, last.ended_with_status) as statuses
        from (
            select distinct on (a.cluster_id) a.cluster_id, a.ended_with_status
            from marts.fct_action as a
            where a.installation_key = s.installation_key
                and a.action_name = 'verify_networks'
                and a.action_type = 'nailgun_task'
                and a.cluster_id is not null
                and a.ended_at >= :from_date
                and a.ended_at < :day_after
            order by a.cluster_id asc, a.ended_at desc, a.external_id desc
        ) as last
    ) as verified on true
"""
STRUCTURES = _CHOSEN.format(more="", join="")
VERIFIED_STRUCTURES = _CHOSEN.format(more=", verified.statuses", join=_VERIFICATIONS)

_CLUSTER_PATHS = tuple(paths(CLUSTER))
_INSTALLATION_PATHS = tuple(paths(INSTALLATION))
_ORIGIN: tuple[Path, ...] = (
    ("cluster_id",),
    ("cluster_fuel_version",),
    ("master_node_uid",),
    ("structure", "fuel_packages"),
)


def shown_time(moment: datetime | None) -> str | None:
    """A naive UTC time as the original wrote it: with a blank, and a fraction only where there is one."""
    return None if moment is None else str(moment)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; nothing when it is none (deformed structures must not break a report)."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _read(snapshot: Snapshot, query: str, period: Period) -> Iterator[Row]:
    return snapshot.stream(query, from_date=period.from_date, day_after=period.day_after)


def _cluster_rows(snapshot: Snapshot, period: Period) -> Iterator[Sequence[str]]:
    for row in _read(snapshot, VERIFIED_STRUCTURES, period):
        installation = {
            "creation_date": shown_time(row["created_at"]),
            "modification_date": shown_time(row["modified_at"]),
            "master_node_uid": str(row["installation_key"]),
            "structure": row["structure"],
        }
        shared = cells(installation, _INSTALLATION_PATHS)
        statuses = row["statuses"] or {}
        for cluster in dicts(row["structure"].get("clusters")):
            status = statuses.get(str(cluster.get("id"))) or ""
            yield [*cells(cluster, _CLUSTER_PATHS), *shared, status]


def _parts_of_clusters(name: str, key: str, skeleton: Skeleton) -> Table:
    """An export with one line for each item of a list that clusters carry."""
    part_paths = tuple(paths(skeleton))

    def rows(snapshot: Snapshot, period: Period) -> Iterator[Sequence[str]]:
        for row in _read(snapshot, STRUCTURES, period):
            for cluster in dicts(row["structure"].get("clusters")):
                origin = {
                    "cluster_id": cluster.get("id"),
                    "cluster_fuel_version": cluster.get("fuel_version"),
                    "master_node_uid": str(row["installation_key"]),
                    "structure": row["structure"],
                }
                shared = cells(origin, _ORIGIN)
                for part in dicts(cluster.get(key)):
                    yield [*cells(part, part_paths), *shared]

    return Table(name, (*columns(skeleton), *(column(path) for path in _ORIGIN)), rows)


CLUSTERS = Table(
    "clusters", (*columns(CLUSTER), *columns(INSTALLATION), "verify_networks_status"), _cluster_rows
)
NODES = _parts_of_clusters("nodes", "nodes", NODE)
PLUGINS = _parts_of_clusters("plugins", "installed_plugins", PLUGIN)
