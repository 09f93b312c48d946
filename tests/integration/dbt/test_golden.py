"""The marts answer what the original answered on the same tables (differences: docs/compatibility.md)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.integration.dbt import golden
from tests.integration.dbt.warehouse import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Python 2 representations of lists, which the original wrote and nobody can read back.
PYTHON_2_CELLS = {"attributes.repos", "attributes.volumes_block_device"}
EVER = ("2015-01-01", "2016-05-31")
THREE_MONTHS = ("2016-02-01", "2016-04-30")


def uids(recorded: Path, pepper: bytes) -> dict[UUID, str]:
    """Pseudonyms back to what the original wrote."""
    return {
        golden.pseudonym(pepper, row["master_node_uid"]): row["master_node_uid"]
        for row in golden.table(recorded, "installation_structures")
    }


def installations_report(warehouse: Warehouse, release: str | None) -> dict[str, Any]:
    """The original's report, from the distribution mart."""
    rows = warehouse.query(
        "select measure, item, sum(amount)::integer from build.rpt_installation_distribution"
        " where %s::text is null or release = %s group by measure, item",
        release,
        release,
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for measure, item, amount in rows:
        found[measure][item] = amount

    def count(measure: str) -> int:
        return found[measure].get("", 0)

    maps = ("statuses", "nodes_num", "hypervisors_num", "oses_num")
    return {
        "installations": {
            "count": count("installations"),
            "environments_num": found["environments_num"],
        },
        "environments": {
            "count": count("environments"),
            "operable_envs_count": count("operable_envs_count"),
            **{name: found[name] for name in maps},
        },
    }


@pytest.mark.parametrize("release", [None, "9.0", "xxx"])
def test_the_installations_report_is_the_originals(
    golden_warehouse: Warehouse, recorded: Path, release: str | None
) -> None:
    """All releases, one release, and a release that nobody has."""
    name = f"installations-{release}.json" if release else "installations.json"
    assert installations_report(golden_warehouse, release) == json.loads(golden.output(recorded, name))


def test_the_summary_is_the_originals(golden_warehouse: Warehouse, recorded: Path) -> None:
    """Totals of the three tables, undecided installations counted as filtered."""
    [row] = golden_warehouse.query(
        "select oswl_stats_total, installation_structures_total, installation_structures_filtered,"
        " installation_structures_not_filtered, action_logs_total from build.rpt_summary"
    )
    workloads, total, filtered, kept, actions = row
    assert {
        "oswl_stats": {"total": workloads},
        "installation_structures": {"total": total, "filtered": filtered, "not_filtered": kept},
        "action_logs": {"total": actions},
    } == json.loads(golden.output(recorded, "summary.json"))


WORKLOADS = """
select
    resources.installation_key, resources.cluster_id, resources.resource_type, resources.stats_on_date::text,
    resources.resource, resources.is_added, resources.is_modified, resources.is_removed,
    case
        when resources.version_info is not null then resources.version_info
        when clusters.fuel_version is not null then jsonb_build_object(
            'fuel_version', clusters.fuel_version, 'release_version', clusters.release_version,
            'release_name', clusters.release_name, 'release_os', clusters.release_os
        )
        else jsonb_build_object(
            'fuel_version', nullif(installations.release, ''), 'release_version', installations.openstack_version
        )
    end
from build.fct_workload_resource as resources
inner join build.dim_installation as installations using (installation_key)
left join build.dim_cluster as clusters using (cluster_key)
where resources.resource_type = %s and (not installations.is_filtered or installations.is_undecided)
    and resources.reported_on >= %s and resources.stats_on_date <= %s
"""


@pytest.mark.parametrize(
    ("report", "kind", "dates"),
    [
        ("vm", "vm", EVER),
        ("vm-3-months", "vm", THREE_MONTHS),
        ("volume", "volume", EVER),
        ("image", "image", EVER),
        ("flavor", "flavor", EVER),
        ("tenant", "tenant", EVER),
        ("keystone_user", "keystone_user", EVER),
    ],
)
def test_the_cells_of_a_workload_report_are_the_originals(
    golden_warehouse: Warehouse,
    recorded: Path,
    pepper: bytes,
    report: str,
    kind: str,
    dates: tuple[str, str],
) -> None:
    """Every line of the gap-filled report, compared as a multiset: the original's order was arbitrary."""
    expected = golden.output_rows(recorded, report)
    known = uids(recorded, pepper)
    found: Counter[tuple[str, ...]] = Counter()
    for (
        key,
        cluster,
        resource_type,
        day,
        resource,
        added,
        modified,
        removed,
        versions,
    ) in golden_warehouse.query(WORKLOADS, kind, *dates):
        flags = {"is_added": added, "is_modified": modified, "is_removed": removed}
        document = {
            "master_node_uid": known[key],
            "cluster_id": cluster,
            "resource_type": resource_type,
            "stats_on_date": day,
            "version_info": versions,
            kind: {**resource, **flags},
        }
        found[tuple(golden.cell(document, path) for path in expected[0])] += 1
    assert found == Counter(tuple(row.values()) for row in expected)


def elements(warehouse: Warehouse, report: str, dates: tuple[str, str], known: dict[UUID, str]) -> list[Any]:
    """One document a line of a report on structures, in the report's order."""
    first, last = dates
    verified = {
        (key, cluster): status
        for key, cluster, status in warehouse.query(
            "select distinct on (installation_key, cluster_id) installation_key, cluster_id, ended_with_status"
            " from build.fct_action where action_type = 'nailgun_task' and action_name = 'verify_networks'"
            " and ended_at::date between %s and %s order by 1, 2, external_id desc",
            first,
            last,
        )
    }
    found = []
    for key, structure, created, modified in warehouse.query(
        "select installation_key, structure, created_at, modified_at from build.rpt_structure"
        " where is_filtered is not true and (created_at >= %s or modified_at >= %s)"
        " and (created_at <= %s::date + 1 or modified_at <= %s::date + 1) order by structure_number",
        first,
        first,
        last,
        last,
    ):
        about = {
            "master_node_uid": known[key],
            "creation_date": str(created),
            "modification_date": "" if modified is None else str(modified),
            "structure": structure,
        }
        for cluster in structure["clusters"]:
            of_cluster = {"cluster_id": cluster["id"], "cluster_fuel_version": cluster.get("fuel_version")}
            if report == "clusters":
                found.append(
                    {**cluster, **about, "verify_networks_status": verified.get((key, cluster["id"]))}
                )
            else:
                found += [{**item, **about, **of_cluster} for item in cluster.get(report) or []]
    return found


@pytest.mark.parametrize(
    ("report", "part", "dates"),
    [
        ("clusters", "clusters", EVER),
        ("clusters-3-months", "clusters", THREE_MONTHS),
        ("nodes", "nodes", EVER),
        ("plugins", "installed_plugins", EVER),
    ],
)
def test_the_cells_of_a_structure_report_are_the_originals(
    golden_warehouse: Warehouse,
    recorded: Path,
    pepper: bytes,
    report: str,
    part: str,
    dates: tuple[str, str],
) -> None:
    """Every line, and within an installation the same order; installations stand in another one."""
    expected = golden.output_rows(recorded, report)
    columns = [name for name in expected[0] if name not in PYTHON_2_CELLS]
    by_installation: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for document in elements(golden_warehouse, part, dates, uids(recorded, pepper)):
        cells = tuple(golden.cell(document, path) for path in columns)
        by_installation[document["master_node_uid"]].append(cells)
    originals: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in expected:
        # Created and modified in one instant is reported once: no modification.
        if row.get("modification_date") == row.get("creation_date", ""):
            row["modification_date"] = ""
        originals[row["master_node_uid"]].append(tuple(row[name] for name in columns))
    assert by_installation == originals


def test_facts_of_environments_agree_with_the_structures(golden_warehouse: Warehouse) -> None:
    """Each identified environment of a latest structure is a current row of dim_cluster with its own hardware."""
    [(in_structures,)] = golden_warehouse.query(
        "select count(distinct (installation_key, cluster ->> 'id')) from build.rpt_structure,"
        " jsonb_array_elements(structure -> 'clusters') as cluster where jsonb_typeof(cluster -> 'id') = 'number'"
    )
    [(current,)] = golden_warehouse.query("select count(*) from build.dim_cluster where is_current")
    [(nodes,)] = golden_warehouse.query("select count(*) from build.fct_node where is_current")
    [(sent,)] = golden_warehouse.query(
        "select count(*) from build.rpt_structure, jsonb_array_elements(structure -> 'clusters') as cluster,"
        " jsonb_array_elements(case jsonb_typeof(cluster -> 'nodes') when 'array' then cluster -> 'nodes'"
        " else '[]' end) as node where jsonb_typeof(node) = 'object'"
    )
    assert (current, nodes) == (in_structures, sent)
