"""The exports of OpenStack workloads: one line a resource and day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analytics_api.database import Snapshot
from analytics_api.exports.flatten import cells, written
from analytics_api.exports.skeleton import RESOURCE_FLAGS, RESOURCES, WORKLOAD, columns, paths
from analytics_api.exports.table import Table
from analytics_api.parameters import Period

# A day repeats the last known record, but only of records made within the period. What a record does not say about
# its version is taken from the cluster, then from the installation.
QUERY = """
    select
        r.installation_key, r.cluster_id, r.resource_type, r.stats_on_date, r.resource,
        r.is_added, r.is_modified, r.is_removed,
        case
            when coalesce(r.version_info, '{}') <> '{}' then r.version_info
            when c.fuel_version is not null then jsonb_build_object(
                'fuel_version', c.fuel_version, 'release_version', c.release_version,
                'release_name', c.release_name, 'release_os', c.release_os
            )
            else jsonb_build_object('fuel_version', i.release, 'release_version', i.openstack_version)
        end as version_info
    from marts.fct_workload_resource as r
    inner join marts.rpt_structure as s on r.installation_key = s.installation_key and s.is_filtered is not true
    inner join marts.dim_installation as i on r.installation_key = i.installation_key
    left join marts.dim_cluster as c
        on r.installation_key = c.installation_key and r.cluster_id = c.cluster_id and c.is_current
    where r.resource_type = :resource_type
        and r.stats_on_date between :from_date and :to_date
        and r.reported_on >= :from_date
    order by r.stats_on_date, r.installation_key, r.cluster_id, r.resource_number, r.is_removed
"""
_WORKLOAD_PATHS = tuple(paths(WORKLOAD))


def _workload(resource_type: str) -> Table:
    skeleton = RESOURCES[resource_type]
    resource_paths = tuple(paths(skeleton))

    def rows(snapshot: Snapshot, period: Period) -> Iterator[Sequence[str]]:
        found = snapshot.stream(
            QUERY, resource_type=resource_type, from_date=period.from_date, to_date=period.to_date
        )
        for row in found:
            shared = {
                "cluster_id": row["cluster_id"],
                "master_node_uid": str(row["installation_key"]),
                "resource_type": row["resource_type"],
                "stats_on_date": str(row["stats_on_date"]),
                "version_info": row["version_info"],
            }
            flags = [written(row[flag]) for flag in RESOURCE_FLAGS]
            yield [*cells(shared, _WORKLOAD_PATHS), *cells(row["resource"], resource_paths), *flags]

    names = (*columns(skeleton), *RESOURCE_FLAGS)
    header = (*columns(WORKLOAD), *(f"{resource_type}.{name}" for name in names))
    return Table(resource_type, header, rows)


WORKLOADS = {resource_type: _workload(resource_type) for resource_type in RESOURCES}
