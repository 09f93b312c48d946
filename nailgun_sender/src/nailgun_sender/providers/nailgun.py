"""The reference structure provider: a Nailgun-like database, as the contract wants it told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from sqlalchemy.engine import Engine

from ..errors import ProviderError
from .nailgun_database import NailgunDatabase, Reader, Row, by
from .nailgun_settings import flattened, zones_told

_NODE = (
    "id", "cluster_id", "group_id", "status", "meta", "manufacturer", "platform_name", "progress",
    "os_platform", "roles", "role_list", "pending_roles", "primary_roles", "primary_tags", "online",
    "pending_addition", "pending_deletion", "error_type",
)  # fmt: skip
_CLUSTER = (
    "id", "mode", "status", "net_provider", "release_id", "fuel_version", "is_customized",
    "components", "extensions",
)  # fmt: skip
_PLUGIN = (
    "id", "name", "version", "fuel_version", "package_version", "groups", "licenses",
    "is_hotpluggable", "releases",
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """What a node knows of its own release from files, not from its database.

    ``release`` is the contract's ``fuel_release`` (release, api, feature_groups…); ``packages`` is
    called each time, since packages are upgraded under a running service.
    """

    release: Mapping[str, Any]
    packages: Callable[[], Sequence[str]] = tuple


class NailgunStructure:
    """A StructureProvider over a Nailgun-like database (6.0 to 10.0).

    Reads ``clusters``, ``nodes``, ``releases``, ``attributes``, ``nodegroups``,
    ``networking_configs`` with its kinds, ``vmware_attributes``, ``plugins`` and ``cluster_plugins``, NICs and bonds,
    and ``master_node_settings``, in one consistent look.
    """

    def __init__(self, engine: Engine, release: Release) -> None:
        self._database = NailgunDatabase(engine)
        self._release = release

    def structure(self) -> Mapping[str, Any]:
        """Return the installation structure; raises ProviderError when it cannot be read."""
        with self._database.reading() as reader:
            master = reader.rows("master_node_settings", ("master_node_uid", "settings"), "id")
            if not master or not master[0].get("master_node_uid"):
                raise ProviderError("no_node_uid", "The node's database names no master node.")
            nodes = _nodes(reader)
            clusters = _clusters(reader, by(nodes, "cluster_id"))
        allocated = sum(1 for node in nodes if node["cluster_id"] is not None)
        told: dict[str, Any] = {
            "master_node_uid": master[0]["master_node_uid"],
            "fuel_release": dict(self._release.release),
            "fuel_packages": list(self._release.packages()),
            "clusters": clusters,
            "clusters_num": len(clusters),
            "allocated_nodes_num": allocated,
            "unallocated_nodes_num": len(nodes) - allocated,
            "user_information": _user(master[0].get("settings")),
        }
        return told


def _nodes(reader: Reader) -> list[Row]:
    nics = by(reader.rows("node_nic_interfaces", ("id", "node_id", "parent_id")), "node_id")
    bonds = by(reader.rows("node_bond_interfaces", ("id", "node_id")), "node_id")
    roles = _roles_of_old_releases(reader)
    told = []
    for row in reader.rows("nodes", _NODE):
        node = {name: value for name, value in row.items() if name not in _RENAMED}
        own = nics.get(row["id"], [])
        node["os"] = row.get("os_platform")
        node["roles"] = row.get("roles") or roles.get(row["id"], [])
        node["nic_interfaces"] = [{"id": nic["id"]} for nic in own]
        node["bond_interfaces"] = [
            {
                "id": bond["id"],
                "slaves": [nic["id"] for nic in own if nic.get("parent_id") == bond["id"]],
            }
            for bond in bonds.get(row["id"], [])
        ]
        told.append(node)
    return told


_RENAMED = frozenset({"os_platform", "role_list"})


def _roles_of_old_releases(reader: Reader) -> Mapping[int, list[str]]:
    # up to 6.1 roles were rows of their own
    names = {row["id"]: row["name"] for row in reader.rows("roles", ("id", "name"))}
    told: dict[int, list[str]] = {}
    for row in reader.rows("node_roles", ("node", "role")):
        if row.get("role") in names:
            told.setdefault(row["node"], []).append(names[row["role"]])
    return told


def _clusters(reader: Reader, nodes: Mapping[Any, list[Row]]) -> list[Row]:
    releases = {
        row["id"]: row for row in reader.rows("releases", ("id", "name", "version", "operating_system"))
    }
    attributes = by(reader.rows("attributes", ("cluster_id", "editable")), "cluster_id")
    groups = by(reader.rows("nodegroups", ("id", "cluster_id")), "cluster_id")
    networks = _networks(reader)
    plugins = _plugins(reader)
    vmware = by(reader.rows("vmware_attributes", ("cluster_id", "editable")), "cluster_id")
    told = []
    for row in reader.rows("clusters", _CLUSTER):
        own = nodes.get(row["id"], [])
        release = releases.get(row.get("release_id"), {})
        cluster = {name: value for name, value in row.items() if name != "release_id"}
        cluster["release"] = {
            "name": release.get("name"),
            "version": release.get("version"),
            "os": release.get("operating_system"),
        }
        cluster["nodes"] = own
        cluster["nodes_num"] = len(own)
        settings = attributes.get(row["id"], [{}])[0].get("editable") or {}
        cluster["attributes"] = flattened(settings)
        zones = vmware.get(row["id"])
        if zones:
            cluster["vmware_attributes"] = zones_told(zones[0].get("editable"))
        cluster["network_configuration"] = networks.get(row["id"], {})
        cluster["installed_plugins"] = plugins.get(row["id"], [])
        cluster["node_groups"] = [
            {"id": group["id"], "nodes": [n["id"] for n in own if n.get("group_id") == group["id"]]}
            for group in groups.get(row["id"], [])
        ]
        told.append(cluster)
    return told


def _networks(reader: Reader) -> Mapping[Any, Row]:
    kinds: dict[Any, Row] = {}
    neutron = ("id", "segmentation_type", "net_l23_provider")
    nova = (
        "id", "net_manager", "fixed_networks_vlan_start", "fixed_network_size",
        "fixed_networks_amount",
    )  # fmt: skip
    for table, columns in (("neutron_config", neutron), ("nova_network_config", nova)):
        for row in reader.rows(table, columns):
            kinds[row["id"]] = {name: value for name, value in row.items() if name != "id"}
    configs = reader.rows("networking_configs", ("id", "cluster_id"))
    return {row["cluster_id"]: kinds.get(row["id"], {}) for row in configs}


def _plugins(reader: Reader) -> Mapping[Any, list[Row]]:
    plugins = {row["id"]: row for row in reader.rows("plugins", _PLUGIN)}
    told: dict[Any, list[Row]] = {}
    for link in reader.rows("cluster_plugins", ("id", "cluster_id", "plugin_id", "enabled")):
        if link.get("enabled", True) and link["plugin_id"] in plugins:
            told.setdefault(link["cluster_id"], []).append(plugins[link["plugin_id"]])
    return told


def _user(settings: Any) -> Row:
    statistics = settings.get("statistics", {}) if isinstance(settings, Mapping) else {}

    def chosen(name: str) -> Any:
        found = statistics.get(name)
        return found.get("value") if isinstance(found, Mapping) else None

    if not chosen("send_user_info"):
        return {"contact_info_provided": False}
    return {
        "contact_info_provided": True,
        "name": chosen("name"),
        "email": chosen("email"),
        "company": chosen("company"),
    }
