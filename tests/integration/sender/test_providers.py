"""The reference providers over a Nailgun-like database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
from nailgun_sender.providers.nailgun import NailgunStructure, Release
from nailgun_sender.providers.nailgun_workloads import NailgunWorkloads
from nailgun_sender.sanitise.structure import structure as sanitised

from nailgun_sender import ProviderError
from tests.integration.sender import nailgun_like

RELEASE = Release(
    {"release": "10.0", "api": "1", "feature_groups": ["experimental"]},
    lambda: ["fuel-nailgun-10.0.0-1.noarch"],
)
NODE = {
    "id": 5,
    "cluster_id": 1,
    "group_id": 1,
    "status": "ready",
    "roles": ["controller"],
    "os": None,
    "online": True,
    "meta": {"cpu": {"real": 1, "total": 2, "spec": []}},
    "manufacturer": "QEMU",
    "platform_name": None,
    "progress": 0,
    "pending_roles": [],
    "primary_tags": [],
    "pending_addition": False,
    "pending_deletion": False,
    "error_type": None,
    "name": "alice's node",
    "nic_interfaces": [{"id": 7}],
    "bond_interfaces": [{"id": 8}],
}
STRUCTURE: dict[str, Any] = {
    "master_node_uid": "42568c01-c841-4797-a1e4-15216cbb6e91",
    "user_information": {
        "contact_info_provided": True,
        "name": "A",
        "email": "a@example.com",
        "company": "C",
    },
    "unallocated_nodes_num": 1,
    "clusters": [
        {
            "id": 1,
            "mode": "ha_compact",
            "status": "operational",
            "net_provider": "neutron",
            "fuel_version": "10.0",
            "is_customized": False,
            "components": [],
            "extensions": ["volume_manager"],
            "node_groups": [{"id": 1, "nodes": [5]}],
            "release": {"name": "Newton on Ubuntu 16.04", "version": "newton-10.0", "os": "Ubuntu"},
            "attributes": {
                "libvirt_type": "kvm",
                "ceilometer": True,
                "osd_pool_size": "3",
                "external_ntp_list": True,
            },
            "network_configuration": {"segmentation_type": "tun", "net_l23_provider": "ovs"},
            "nodes": [NODE],
        }
    ],
}
CONTRACT = {
    "type": "object",
    "required": [
        "master_node_uid",
        "clusters_num",
        "allocated_nodes_num",
        "unallocated_nodes_num",
        "clusters",
    ],
    "properties": {
        "clusters": {
            "items": {
                "required": ["id", "nodes_num", "nodes", "mode", "release", "status", "attributes"],
                "properties": {
                    "release": {"required": ["version", "os", "name"]},
                    "nodes": {
                        "items": {"required": ["id", "roles"], "properties": {"roles": {"type": "array"}}}
                    },
                },
            }
        },
        "fuel_release": {"required": ["release", "api", "feature_groups"]},
    },
}


@pytest.fixture
def engine(url: str) -> Any:
    """A Nailgun-like database without content."""
    made = sa.create_engine(url)
    nailgun_like.create(made)
    yield made
    made.dispose()


def test_a_structure_is_read_as_the_contract_wants_it(engine: sa.Engine) -> None:
    """All required members are there, counts are right, and the sanitiser leaves nothing of people, places
    and secrets.
    """
    nailgun_like.fill(engine, STRUCTURE)
    plugin = {
        "id": 3,
        "name": "lbaas",
        "version": "1.0.0",
        "fuel_version": ["10.0"],
        "groups": ["network"],
        "licenses": [],
        "releases": [{"os": "ubuntu", "version": "newton-10.0", "mode": ["ha"]}],
        "is_hotpluggable": True,
    }
    nailgun_like.insert(engine, "plugins", {**plugin, "homepage": "https://x", "title": "LBaaS"})
    nailgun_like.insert(
        engine,
        "cluster_plugins",
        {"id": 1, "cluster_id": 1, "plugin_id": 3, "enabled": True, "attributes": {}},
    )
    nailgun_like.insert(
        engine,
        "vmware_attributes",
        {
            "id": 1,
            "cluster_id": 1,
            "editable": {
                "value": {
                    "availability_zones": [
                        {
                            "vcenter_password": "hunter2",
                            "cinder": {"enable": True},
                            "nova_computes": [{"vsphere_cluster": "alice"}, {}],
                        },
                        {},
                    ]
                }
            },
        },
    )
    found = NailgunStructure(engine, RELEASE).structure()
    told = sanitised(found)
    jsonschema.validate(told, CONTRACT)
    assert (told["clusters_num"], told["allocated_nodes_num"], told["unallocated_nodes_num"]) == (1, 1, 1)
    (cluster,) = told["clusters"]
    assert cluster["attributes"] == STRUCTURE["clusters"][0]["attributes"]
    assert cluster["installed_plugins"] == [{**plugin, "package_version": None}]
    assert cluster["vmware_attributes"] == {
        "vmware_az_cinder_enable": [True, False],
        "vmware_az_nova_computes_num": [2, 0],
    }
    assert cluster["network_configuration"] == {"segmentation_type": "tun", "net_l23_provider": "ovs"}
    assert cluster["nodes"][0]["bond_interfaces"] == [{"id": 8, "slaves": []}]
    text = json.dumps(told)
    for secret in ("hunter2", "alice", "secret.tld", "52:54", "10.20.0", "operator's", "example.com"):
        assert secret not in text
    assert told["user_information"] == {"contact_info_provided": True}
    assert sanitised(found, contact=True)["user_information"] == STRUCTURE["user_information"]


def test_a_real_node_is_told_as_the_real_node_told_itself(engine: sa.Engine, recorded: Path) -> None:
    """A recorded structure, put back into tables and read again, is the recorded one as far as may be kept."""
    path = recorded / "nailgun" / "004-cycle-1-POST-installation_structure.json"
    sent = json.loads(json.loads(path.read_text())["request"]["body"])["installation_structure"]
    nailgun_like.fill(engine, sent)
    release = Release(sent["fuel_release"], lambda: sent["fuel_packages"])
    told, expected = sanitised(NailgunStructure(engine, release).structure()), sanitised(sent)
    for each in (told, expected):
        each["clusters"].sort(key=lambda cluster: cluster["id"])
        for cluster in each["clusters"]:
            cluster["nodes"].sort(key=lambda node: node["id"])
            for node in cluster["nodes"]:
                node.pop("bond_interfaces")
            for group in cluster["node_groups"]:
                group["nodes"].sort()
    assert told == expected
    assert len(told["clusters"][0]["nodes"][0]["meta"]["cpu"]["spec"]) > 0


def test_an_old_release_with_fewer_tables_is_read(url: str) -> None:
    """6.0 had roles in a table of their own, no plugins and no node groups: what there is is told."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in (
            "create table master_node_settings (id integer, master_node_uid text)",
            "insert into master_node_settings values (1, 'uid-1')",
            "create table clusters (id integer, mode text, status text, release_id integer)",
            "insert into clusters values (1, 'multinode', 'new', 1)",
            "create table nodes (id integer, cluster_id integer, status text)",
            "insert into nodes values (1, 1, 'ready'), (2, null, 'discover')",
            "create table roles (id integer, name text)",
            "insert into roles values (1, 'compute')",
            "create table node_roles (id integer, node integer, role integer)",
            "insert into node_roles values (1, 1, 1)",
        ):
            connection.execute(sa.text(statement))
    told = sanitised(NailgunStructure(engine, RELEASE).structure())
    jsonschema.validate(told, CONTRACT)
    assert told["clusters"][0]["nodes"][0]["roles"] == ["compute"]
    assert told["unallocated_nodes_num"] == 1
    engine.dispose()


def test_the_newest_look_at_each_cluster_is_a_workload(engine: sa.Engine) -> None:
    """The newest row of a pair counts; clusters that are gone, or whose collector is switched off, are left out."""
    nailgun_like.fill(engine, STRUCTURE)
    off = {"workloads_collector": {"enabled": {"value": False}}}
    nailgun_like.insert(engine, "clusters", {"id": 2, "release_id": 1, "status": "operational"})
    nailgun_like.insert(engine, "attributes", {"id": 2, "cluster_id": 2, "editable": off})
    for number, (cluster, day, at, current) in enumerate(
        [
            (1, 22, "23:00:00", "old"),
            (1, 23, "01:00:00", "new"),
            (1, 23, "00:30:00", "older"),
            (2, 23, "01:00:00", "off"),
            (9, 23, "01:00:00", "gone"),
        ]
    ):
        data = {
            "current": [{"id": current, "enabled_flag": True}],
            "added": [],
            "removed": [],
            "modified": [],
        }
        row = {
            "id": number,
            "cluster_id": cluster,
            "created_date": f"2026-11-{day}",
            "updated_time": at,
            "resource_type": "tenant",
            "resource_data": data,
        }
        nailgun_like.insert(engine, "oswl_stats", row)
    (told,) = NailgunWorkloads(engine).workloads()
    assert (told.cluster_id, told.resource_type) == (1, "tenant")
    assert list(told.resources) == [{"id": "new", "enabled_flag": True}]
    assert told.version_info == {
        "fuel_version": "10.0",
        "environment_version": "10.0",
        "release_version": "newton-10.0",
        "release_name": "Newton on Ubuntu 16.04",
        "release_os": "Ubuntu",
    }


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_database_that_cannot_be_read_is_a_provider_error(url: str, tmp_path: Path) -> None:
    """Unreadable, or without a master node: an error with a code, and no value of the database in its sentence."""
    (tmp_path / "bad.sqlite").write_bytes(b"rubbish " * 1000)
    bad = sa.create_engine(f"sqlite:///{tmp_path}/bad.sqlite")
    with pytest.raises(ProviderError) as caught:
        NailgunStructure(bad, RELEASE).structure()
    assert caught.value.code == "database_unreadable"
    bad.dispose()
    empty = sa.create_engine(url)
    with pytest.raises(ProviderError) as caught:
        NailgunStructure(empty, RELEASE).structure()
    assert caught.value.code == "no_node_uid"
    empty.dispose()
