"""A Nailgun-like database: its schema as of 10.0, filled from an installation structure as a real node sent it."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from nailgun_sender.providers.nailgun_settings import paths
from sqlalchemy.engine import Engine

_TABLES: dict[str, str] = {
    "releases": "name text, version text, operating_system text",
    "clusters": "name text, mode text, status text, net_provider text, release_id integer, fuel_version text,"
    " is_customized boolean, components text, extensions text, ui_settings text",
    "nodes": "uuid text, name text, hostname text, mac text, ip text, cluster_id integer, group_id integer, status text,"  # noqa: E501
    " meta text, manufacturer text, platform_name text, progress integer, os_platform text, roles text, pending_roles text,"  # noqa: E501
    " primary_tags text, online boolean, pending_addition boolean, pending_deletion boolean, error_type text, error_msg text,"  # noqa: E501
    " labels text",
    "attributes": "cluster_id integer, editable text, generated text",
    "vmware_attributes": "cluster_id integer, editable text",
    "nodegroups": "cluster_id integer, name text",
    "networking_configs": "discriminator text, cluster_id integer",
    "neutron_config": "segmentation_type text, net_l23_provider text, base_mac text",
    "plugins": "name text, title text, version text, package_version text, fuel_version text, releases text, groups text,"  # noqa: E501
    " licenses text, is_hotpluggable boolean, homepage text",
    "cluster_plugins": "cluster_id integer, plugin_id integer, enabled boolean, attributes text",
    "node_nic_interfaces": "node_id integer, parent_id integer, mac text, ip_addr text",
    "node_bond_interfaces": "node_id integer, name text",
    "master_node_settings": "master_node_uid text, settings text",
    "oswl_stats": "cluster_id integer, created_date date, updated_time time, resource_type text, resource_data text,"
    " resource_checksum text, is_sent boolean, version_info text",
}


def create(engine: Engine) -> None:
    """Make the tables."""
    with engine.begin() as connection:
        for name, columns in _TABLES.items():
            connection.execute(sa.text(f"create table {name} (id integer primary key, {columns})"))


def insert(engine: Engine, table: str, row: dict[str, Any]) -> None:
    """Put a row into a table; lists and objects as JSON text, which is how Nailgun stores them."""
    written = {k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in row.items()}
    columns = ", ".join(written)
    with engine.begin() as connection:
        values = ", ".join(f":{name}" for name in written)
        connection.execute(sa.text(f"insert into {table} ({columns}) values ({values})"), written)


def fill(engine: Engine, structure: dict[str, Any]) -> None:
    """Put an installation structure, as it was sent, back into the tables that it came from."""
    user = structure["user_information"]
    statistics = {k: {"value": user[k], "type": "text"} for k in ("name", "email", "company")}
    statistics["send_user_info"] = {"value": user["contact_info_provided"], "type": "hidden"}
    insert(
        engine,
        "master_node_settings",
        {"id": 1, "master_node_uid": structure["master_node_uid"], "settings": {"statistics": statistics}},
    )
    for number in range(structure["unallocated_nodes_num"]):
        insert(engine, "nodes", {"id": 900 + number, "status": "discover", "roles": [], "meta": {}})
    for cluster in structure["clusters"]:
        _fill_cluster(engine, cluster)


def _fill_cluster(engine: Engine, cluster: dict[str, Any]) -> None:
    number = cluster["id"]
    release = cluster["release"]
    insert(
        engine,
        "releases",
        {
            "id": number,
            "name": release["name"],
            "version": release["version"],
            "operating_system": release["os"],
        },
    )
    insert(
        engine,
        "clusters",
        {"id": number, "release_id": number, "name": "the operator's name for it"}
        | {
            k: cluster[k]
            for k in (
                "mode",
                "status",
                "net_provider",
                "fuel_version",
                "is_customized",
                "components",
                "extensions",
            )
        },
    )
    insert(
        engine,
        "attributes",
        {"id": number, "cluster_id": number, "editable": _nested(cluster["attributes"]), "generated": {}},
    )
    insert(engine, "networking_configs", {"id": number, "cluster_id": number, "discriminator": "neutron"})
    network = cluster["network_configuration"]
    insert(
        engine,
        "neutron_config",
        {"id": number, **{k: network[k] for k in ("segmentation_type", "net_l23_provider")}},
    )
    for group in cluster["node_groups"]:
        insert(engine, "nodegroups", {"id": group["id"], "cluster_id": number, "name": "default"})
    for node in cluster["nodes"]:
        _fill_node(engine, node)


def _fill_node(engine: Engine, node: dict[str, Any]) -> None:
    known = (
        "id",
        "cluster_id",
        "group_id",
        "status",
        "meta",
        "manufacturer",
        "platform_name",
        "progress",
        "roles",
        "pending_roles",
        "primary_tags",
        "online",
        "pending_addition",
        "pending_deletion",
        "error_type",
        "name",
    )
    secret = {
        "hostname": "node-1.secret.tld",
        "mac": "52:54:00:01:02:03",
        "ip": "10.20.0.3",
        "os_platform": node["os"],
    }
    insert(engine, "nodes", {**{k: node[k] for k in known}, **secret})
    for nic in node["nic_interfaces"]:
        insert(
            engine,
            "node_nic_interfaces",
            {"id": nic["id"], "node_id": node["id"], "mac": "52:54:00:01:02:03"},
        )
    for bond in node["bond_interfaces"]:
        insert(engine, "node_bond_interfaces", {"id": bond["id"], "node_id": node["id"]})


def _nested(attributes: dict[str, Any]) -> dict[str, Any]:
    editable: dict[str, Any] = {"access": {"password": {"value": "hunter2"}, "user": {"value": "admin"}}}
    for name, (section, setting) in paths().items():
        if name in attributes:
            if setting.startswith("metadata."):
                editable.setdefault(section, {}).setdefault("metadata", {})[setting[9:]] = attributes[name]
            else:
                editable.setdefault(section, {})[setting] = {
                    "value": attributes[name],
                    "type": "checkbox",
                    "weight": 10,
                }
    return editable
