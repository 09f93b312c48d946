"""Allow-list of what is kept of an installation structure.

Names that people give (of nodes, clusters, labels), addresses, serials, keys and repository hosts
are not in it. ``contact`` is the level at which an operator agreed to be known by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .attributes import ATTRIBUTES
from .deny import deny
from .shape import (
    IDENT,
    LABEL,
    PRODUCT,
    either,
    flag,
    many,
    number,
    obj,
    text,
    word,
)  # fmt: skip

_VERSION = word(r"[A-Za-z0-9][\w.:~+-]*", 120)
_STATE = either(flag, LABEL)
_GROUP = word(r"[A-Za-z][A-Za-z0-9_.:+-]*", 64)
_BUS = word(r"[0-9a-f:.]+|usb@?[0-9:.]*", 40)

_OFFLOADING = obj(
    {
        "name": LABEL,
        "state": flag,
        "sub": many(obj({"name": LABEL, "state": flag, "sub": many(obj({}))})),
    }
)

_INTERFACE = obj(
    {
        "disable_offloading": flag, "mtu": number, "numa_node": number, "dpdk": obj({"enabled": flag}),
        "sriov": obj(
            {
                "available": flag, "enabled": flag, "physnet": word("physnet[0-9]{0,3}"),
                "sriov_numvfs": number, "sriov_totalvfs": number,
            }
        ),
    }
)  # fmt: skip

_META = obj(
    {
        "cpu": obj(
            {
                "real": number,
                "total": number,
                "spec": many(obj({"model": PRODUCT, "frequency": number})),
            }
        ),
        "memory": obj(
            {
                "slots": number,
                "total": number,
                "maximum_capacity": number,
                "devices": many(obj({"frequency": number, "type": PRODUCT, "size": number})),
            }
        ),
        "disks": many(
            obj(
                {
                    "name": LABEL, "disk": LABEL, "model": PRODUCT, "size": number,
                    "removable": either(flag, number, word("[01]")),
                }
            )
        ),
        "interfaces": many(
            obj(
                {
                    "name": LABEL, "driver": LABEL, "bus_info": _BUS, "pxe": flag, "state": LABEL,
                    "max_speed": number, "current_speed": number,
                    "offloading_modes": many(_OFFLOADING), "interface_properties": _INTERFACE,
                }
            )
        ),
        "system": obj(
            {"manufacturer": PRODUCT, "product": PRODUCT, "family": PRODUCT, "version": PRODUCT}
        ),
        "numa_topology": obj(
            {
                "numa_nodes": many(obj({"id": number, "memory": number, "cpus": many(number)})),
                "distances": many(many(either(number, word("[0-9.]+")))),
                "supported_hugepages": many(number),
            }
        ),
    }
)  # fmt: skip

_NODE = obj(
    {
        "id": number, "group_id": number, "cluster_id": number, "roles": many(LABEL),
        "os": PRODUCT, "status": LABEL, "manufacturer": PRODUCT, "platform_name": PRODUCT,
        "online": flag, "pending_addition": flag, "pending_deletion": flag,
        "pending_roles": many(LABEL), "primary_roles": many(LABEL), "primary_tags": many(LABEL),
        "error_type": LABEL, "progress": number, "meta": _META,
        "nic_interfaces": many(obj({"id": number})),
        "bond_interfaces": many(obj({"id": number, "slaves": many(number)})),
    }
)  # fmt: skip

_PLUGIN = obj(
    {
        "id": number, "name": LABEL, "version": _VERSION, "fuel_version": many(_VERSION),
        "package_version": _VERSION, "groups": many(_GROUP), "licenses": many(PRODUCT),
        "is_hotpluggable": flag,
        "releases": many(
            obj({"os": PRODUCT, "version": _VERSION, "mode": many(LABEL)}),
        ),
    }
)  # fmt: skip

_NETWORK = obj(
    {
        "segmentation_type": LABEL, "net_l23_provider": LABEL, "net_manager": LABEL,
        "fixed_networks_vlan_start": number, "fixed_network_size": number,
        "fixed_networks_amount": number,
    }
)  # fmt: skip

_CLUSTER = obj(
    {
        "id": number, "nodes_num": number, "nodes": many(_NODE), "mode": LABEL,
        "release": obj({"version": _VERSION, "os": PRODUCT, "name": PRODUCT}),
        "status": LABEL, "attributes": obj(ATTRIBUTES), "network_configuration": _NETWORK,
        "fuel_version": _VERSION, "is_customized": flag, "net_provider": LABEL,
        "node_groups": many(obj({"id": number, "nodes": many(number)})),
        "installed_plugins": many(_PLUGIN), "extensions": many(LABEL), "components": many(PRODUCT),
        "vmware_attributes": obj(
            {"vmware_az_cinder_enable": many(flag), "vmware_az_nova_computes_num": many(number)}
        ),
    }
)  # fmt: skip

_STRUCTURE = {
    "master_node_uid": IDENT, "clusters_num": number, "allocated_nodes_num": number,
    "unallocated_nodes_num": number, "clusters": many(_CLUSTER),
    "fuel_release": obj(
        {
            "release": _VERSION, "api": _VERSION, "feature_groups": many(LABEL),
            "build_id": _VERSION, "build_number": _VERSION, "openstack_version": _VERSION,
            "production": _STATE, "fuellib_sha": IDENT, "fuelmain_sha": IDENT,
            "nailgun_sha": IDENT, "astute_sha": IDENT, "ostf_sha": IDENT,
            "python-fuelclient_sha": IDENT, "fuel-library_sha": IDENT,
            "fuel-nailgun-agent_sha": IDENT,
        }
    ),
    "fuel_packages": many(_VERSION),
}  # fmt: skip

_ANONYMOUS = obj({**_STRUCTURE, "user_information": obj({"contact_info_provided": flag})})
# An operator's own name, company and address, given to be given: not for the deny-list.
_CONTACT = {"name": text(200), "company": text(200)}


def structure(found: Mapping[str, Any], contact: bool = False) -> dict[str, Any]:
    """Return the structure with what may be kept; with ``contact`` the person's details as well."""
    kept = deny(_ANONYMOUS(found))
    assert isinstance(kept, dict)
    given = found.get("user_information")
    if contact and isinstance(given, Mapping) and given.get("contact_info_provided") is True:
        told = obj(_CONTACT)(given)
        address = given.get("email")
        if isinstance(address, str) and len(address) <= 254:
            told["email"] = address
        kept["user_information"] = {"contact_info_provided": True, **told}
    return kept
