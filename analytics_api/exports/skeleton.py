"""Which columns an export has: the fixed skeletons of the original's reports.

A skeleton is a tree whose leaves become columns, sorted by key at every level and joined by dots. A list
takes numbered columns, a :class:`Count` shows only how many there are. The lists are the wire contract's, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

LIST_COLUMNS = 5
HARDWARE_COLUMNS = 10

Path: TypeAlias = tuple[str | int, ...]
COUNT = "count"


@dataclass(frozen=True)
class Leaf:
    """One column: a plain value, or a list of plain values joined by spaces."""


@dataclass(frozen=True)
class Count:
    """One column, ``<path>.count``: how many items the list has."""


@dataclass(frozen=True)
class Many:
    """Numbered columns for the first ``times`` items of a list."""

    item: Skeleton
    times: int = LIST_COLUMNS


Skeleton: TypeAlias = "Leaf | Count | Many | Mapping[str, Skeleton]"

LEAF = Leaf()


def leaves(names: str) -> dict[str, Skeleton]:
    """A level of plain values from their names, separated by blanks."""
    return dict.fromkeys(names.split(), LEAF)


def paths(skeleton: Skeleton, head: Path = ()) -> Iterator[Path]:
    """The paths of all columns, in the order in which they are exported."""
    match skeleton:
        case Leaf():
            yield head
        case Count():
            yield (*head, COUNT)
        case Many(item, times):
            for index in range(times):
                yield from paths(item, (*head, index))
        case _:
            for key in sorted(skeleton):
                yield from paths(skeleton[key], (*head, key))


def column(path: Path) -> str:
    """A path as a column's name."""
    return ".".join(str(part) for part in path)


def columns(skeleton: Skeleton) -> tuple[str, ...]:
    """The names of all columns of a skeleton."""
    return tuple(column(path) for path in paths(skeleton))


CLUSTER: Skeleton = {
    "attributes": leaves(
        """
        assign_public_to_all_nodes auto_assign_floating_ip ceilometer corosync_verified debug_mode
        ephemeral_ceph external_mongo_replset external_ntp_list heat images_ceph images_vcenter ironic iser
        kernel_params libvirt_type mellanox mellanox_vf_num mongo murano murano-cfapi
        murano_glance_artifacts_plugin neutron_dvr neutron_l2_pop neutron_l3_ha neutron_qos nova_quota nsx
        nsx_replication nsx_transport objects_ceph osd_pool_size provision_method public_ssl_cert_source
        public_ssl_horizon public_ssl_services puppet_debug repos resume_guests_state_on_host_boot sahara
        syslog_transport task_deploy use_cow_images vcenter vlan_splinters vlan_splinters_ovs
        volumes_block_device volumes_ceph volumes_lvm volumes_vmdk workloads_collector_enabled
        """
    ),
    **leaves("fuel_version id is_customized mode net_provider nodes_num status"),
    "network_configuration": leaves(
        """
        fixed_network_size fixed_networks_amount fixed_networks_vlan_start net_l23_provider net_manager
        segmentation_type
        """
    ),
    "node_groups": Many(leaves("id")),
    "release": leaves("name os"),
    "vmware_attributes": leaves("vmware_az_cinder_enable vmware_az_nova_computes_num"),
}

INSTALLATION: Skeleton = {
    **leaves("creation_date master_node_uid modification_date"),
    "structure": {
        **leaves("allocated_nodes_num clusters_num unallocated_nodes_num"),
        "fuel_packages": Many(LEAF),
        "fuel_release": {
            **leaves("api build_id build_number release"),
            "feature_groups": Many(LEAF),
        },
        "user_information": leaves("company contact_info_provided email name"),
    },
}

NODE: Skeleton = {
    "bond_interfaces": Count(),
    "nic_interfaces": Count(),
    **leaves("group_id id online os pending_addition pending_deletion status"),
    "pending_roles": Many(LEAF),
    "roles": Many(LEAF),
    "meta": {
        "cpu": {**leaves("real total"), "spec": Many(leaves("frequency model"), HARDWARE_COLUMNS)},
        "disks": Many(leaves("model name removable size"), HARDWARE_COLUMNS),
        "interfaces": Many(
            {
                **leaves("current_speed driver max_speed name pxe state"),
                "interface_properties": {
                    **leaves("disable_offloading mtu numa_node"),
                    "dpdk": leaves("enabled"),
                    "sriov": leaves("available enabled physnet sriov_numvfs sriov_totalvfs"),
                },
                "offloading_modes": Many({**leaves("name state"), "sub": Many(leaves("name state"))}),
            }
        ),
        "memory": {
            **leaves("maximum_capacity slots total"),
            "devices": Many(leaves("frequency size type"), HARDWARE_COLUMNS),
        },
        "numa_topology": {
            "distances": Many(LEAF),
            "numa_nodes": Many({**leaves("id memory"), "cpus": Count()}),
            "supported_hugepages": Many(LEAF),
        },
        "system": leaves("family manufacturer product version"),
    },
}

PLUGIN: Skeleton = {
    **leaves("fuel_version is_hotpluggable name package_version version"),
    "groups": Many(LEAF),
    "licenses": Many(LEAF),
}

WORKLOAD: Skeleton = {
    **leaves("cluster_id master_node_uid resource_type stats_on_date"),
    "version_info": leaves("environment_version fuel_version release_name release_os release_version"),
}

RESOURCES: Mapping[str, Skeleton] = {
    "vm": leaves("created_at flavor_id host_id id image_id power_state status tenant_id"),
    "flavor": leaves("disk ephemeral id ram swap vcpus"),
    "image": leaves("created_at id minDisk minRam sizeBytes updated_at"),
    "keystone_user": leaves("enabled_flag id tenant_id"),
    "tenant": leaves("enabled_flag id"),
    "volume": {
        **leaves(
            """
            availability_zone bootable_flag encrypted_flag id size snapshot_id status tenant_id volume_type
            """
        ),
        "attachments": Count(),
    },
}

RESOURCE_FLAGS = ("is_added", "is_modified", "is_removed")
