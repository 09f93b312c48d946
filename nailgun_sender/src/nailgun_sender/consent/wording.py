"""Every field that can leave the node, in plain words: what it is, what it is wanted for, and an example.

This is the one list of what may be sent: the page shows it, and what is not in it is cut away before sending. A
release that wants more raises ``texts.TEXT_VERSION`` and gives the new fields that number as ``since``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """A field of what is sent: ``path`` with dots, ``[]`` for the items of a list; all below it is meant too."""

    path: str
    meaning: str
    purpose: str
    example: str
    since: int = 1


_NODE = Field(
    "master_node_uid",
    "A random number of this master node",
    "Counting nodes, and erasing what is yours",
    "9b2f0c5e-…",
)

ACTIONS = (
    _NODE,
    Field("external_id", "A running number of the record", "Counting each record once", "4711"),
    Field("action_group", "The part of the product", "Which parts are used", "cluster_changes"),
    Field("action_name", "The action", "Which functions are used", "deploy_changes"),
    Field("action_type", "A request or an asynchronous task", "Telling the two apart", "nailgun_task"),
    Field("start_timestamp", "When it began, UTC", "How long things take", "2026-11-23T16:20:04.236640"),
    Field("end_timestamp", "When it ended, UTC", "How long things take", "2026-11-23T16:58:11.001200"),
    Field("actor_id", "A hash of who asked; its key stays on the node", "How many people work here", "5f3c…"),
    Field("cluster_id", "Number of the environment on this node", "What belongs together", "3"),
    Field("task_uuid", "Random number of the task", "What belongs together", "9b2f0c5e-…"),
    Field(
        "additional_info.request_data",
        "Method and pattern of the address; never query, headers or content",
        "Which functions are used",
        "PUT /api/clusters/{id}/changes/",
    ),
    Field(
        "additional_info.response_data",
        "Status, and of a failure its message without secrets and addresses",
        "What fails, and why",
        "409 Conflict",
    ),
    Field("additional_info.operation", "What the task does", "Which functions are used", "deploy"),
    Field("additional_info.ended_with_status", "How the task ended", "How often tasks fail", "ready"),
    Field(
        "additional_info.message",
        "The task's message without secrets and addresses",
        "Why tasks fail",
        "Deployment is done",
    ),
    Field("additional_info.parent_task_id", "The task that began it", "What belongs together", "17"),
    Field("additional_info.subtasks_ids", "The tasks that it began", "What belongs together", "[18, 19]"),
    Field(
        "additional_info.nodes_from_resp", "Numbers of the nodes it touched", "How large tasks are", "[4, 5]"
    ),
    Field(
        "additional_info.output",
        "Names of the calls that the task made; none of their content",
        "Which step fails",
        "method: granular_deploy",
    ),
)

_NODES = "clusters[].nodes[]"
CONFIGURATION = (
    _NODE,
    Field("clusters_num", "How many environments", "How nodes are used", "3"),
    Field("allocated_nodes_num", "Nodes in environments", "How large installations are", "17"),
    Field("unallocated_nodes_num", "Nodes that wait", "How large installations are", "3"),
    Field("fuel_release", "Version and build of Fuel", "Which releases must be kept", "release: 10.0"),
    Field("fuel_packages", "Installed packages of Fuel", "Which builds are in use", "fuel-nailgun-10.0.0-1"),
    Field(
        "user_information.contact_info_provided", "Whether contact data is sent", "Reading the rest", "false"
    ),
    Field("clusters[].id", "Number of the environment on this node", "What belongs together", "3"),
    Field("clusters[].nodes_num", "Nodes of the environment", "How large environments are", "17"),
    Field(
        "clusters[].release", "OpenStack release and system", "Which must be tested", "Newton, Ubuntu 16.04"
    ),
    Field("clusters[].fuel_version", "Fuel version it was made with", "Which upgrades are needed", "9.0"),
    Field("clusters[].mode", "Availability mode", "Which modes are used", "ha_compact"),
    Field("clusters[].status", "State of the environment", "How many work", "operational"),
    Field(
        "clusters[].is_customized", "Whether its data was edited by hand", "Which options are missing", "true"
    ),
    Field(
        "clusters[].attributes",
        "Switches and choices of the settings; no passwords, keys or addresses",
        "Which options are used",
        "libvirt_type: kvm",
    ),
    Field("clusters[].net_provider", "Network service", "Which networks are used", "neutron"),
    Field("clusters[].network_configuration", "Kind and size of networks", "Which networks are used", "vlan"),
    Field("clusters[].node_groups", "Numbers of node groups and their nodes", "How racks are used", "id: 1"),
    Field(
        "clusters[].installed_plugins", "Plugins and their versions", "Which plugins matter", "lbaas 3.0.0"
    ),
    Field("clusters[].extensions", "Extensions of Nailgun", "Which are used", "volume_manager"),
    Field("clusters[].components", "Chosen components", "Which are used", "hypervisor:qemu"),
    Field("clusters[].vmware_attributes", "Whether volumes are on vCenter", "Whether it is used", "true"),
    *(
        Field(f"{_NODES}.{name}", meaning, purpose, example)
        for name, meaning, purpose, example in (
            ("id", "Number of the node on this master node", "What belongs together", "5"),
            ("group_id", "Number of its node group", "How racks are used", "1"),
            ("cluster_id", "Number of its environment", "What belongs together", "3"),
            ("roles", "Its roles", "Which roles are combined", "[compute]"),
            ("pending_roles", "Roles it is to get", "How environments change", "[cinder]"),
            ("primary_roles", "Roles in which it comes first", "How roles are placed", "[controller]"),
            ("primary_tags", "Tags in which it comes first", "How roles are placed", "[controller]"),
            ("os", "Its operating system", "Which must be tested", "ubuntu"),
            ("platform_name", "Name of its kind of machine", "Which hardware must work", "R620"),
            ("manufacturer", "Maker of the machine", "Which hardware must work", "Dell"),
            ("status", "Its state", "How often nodes fail", "ready"),
            ("online", "Whether it answers", "How often nodes fail", "true"),
            ("pending_addition", "Whether it is to be added", "How environments change", "false"),
            ("pending_deletion", "Whether it is to be removed", "How environments change", "false"),
            ("error_type", "Which step failed", "What fails", "deploy"),
            ("progress", "Progress of that step in percent", "What fails", "100"),
            ("meta.cpu", "Number and models of processors", "Which hardware must work", "24, Xeon E5-2620"),
            ("meta.memory", "Size and modules of memory", "Which hardware must work", "64 GB in 8 slots"),
            ("meta.disks", "Sizes and models of disks; no serials", "Which hardware must work", "sda 480 GB"),
            (
                "meta.interfaces",
                "Drivers and speeds of network cards; no addresses",
                "Which drivers must work",
                "eth0 ixgbe 10000",
            ),
            (
                "meta.system",
                "Maker and product; no serials, no names",
                "Which hardware must work",
                "PowerEdge",
            ),
            ("meta.numa_topology", "Layout of processors and memory", "Which tuning is needed", "2 nodes"),
            ("nic_interfaces", "How many network cards", "Which wiring is used", "[{id: 7}]"),
            ("bond_interfaces", "Which of them are bonded", "Which wiring is used", "[{slaves: [7, 8]}]"),
        )
    ),
)

WORKLOADS = (
    _NODE,
    Field("id", "A running number of the record", "Counting each record once", "815"),
    Field("cluster_id", "Number of the environment on this node", "What belongs together", "3"),
    Field("created_date", "The day", "Growth over time", "2026-11-23"),
    Field("updated_time", "When the day was last looked at, UTC", "Which look is the newest", "16:20:04"),
    Field("resource_type", "Kind of resource", "What is used", "vm"),
    Field("resource_checksum", "Fingerprint of what follows", "Noticing changes", "3d0a…"),
    Field(
        "resource_data.current",
        "Of each resource OpenStack's random ids, state, sizes and times; no names",
        "How much is used",
        "id: 9b2f…, status: ACTIVE",
    ),
    Field("resource_data.added", "Ids of what came that day, and when", "How often it changes", "id: 9b2f…"),
    Field("resource_data.removed", "The same of what went", "How often it changes", "id: 9b2f…"),
    Field("resource_data.modified", "The former state of what changed", "How often it changes", "BUILD"),
    Field("version_info", "Versions of environment and OpenStack", "Which releases are used", "newton-10.0"),
)

CONTACT = (
    Field("user_information.name", "Your name", "Answering you", "Ada Lovelace"),
    Field("user_information.email", "Your e-mail address", "Answering you", "ada@example.com"),
    Field("user_information.company", "Your company", "Knowing who uses it", "Example Ltd"),
)
