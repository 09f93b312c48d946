"""What the operator is asked, in plain words: every field that can leave the node, why, and an example.

This is the one list of what may be sent: the page shows it, the preview follows it, and a field that is not here is
not sent. A release that wants more raises ``TEXT_VERSION`` and gives the new fields that number as ``since``: they
stay on the node until the operator has been asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TEXT_VERSION = 1


@dataclass(frozen=True)
class Field:
    """A field of what is sent: ``path`` with dots, ``[]`` for the items of a list."""

    path: str
    meaning: str
    example: str
    since: int = 1


@dataclass(frozen=True)
class Level:
    """A part of the consent that can be given on its own."""

    name: str
    title: str
    purpose: str
    fields: tuple[Field, ...]


ACTIONS = Level(
    "actions",
    "What is done on this master node",
    "Shows which functions are used, how long deployments take and how often they fail.",
    (
        Field("external_id", "A running number of the record on this node", "4711"),
        Field("action_group", "The part of the product", "cluster_changes"),
        Field("action_name", "The action", "deploy_changes"),
        Field("action_type", "A request or an asynchronous task", "nailgun_task"),
        Field("start_timestamp", "When it began, UTC", "2026-11-23T16:20:04.236640"),
        Field("end_timestamp", "When it ended, UTC", "2026-11-23T16:58:11.001200"),
        Field("actor_id", "A keyed hash of who asked; the key never leaves the node", "5f3c…e9"),
        Field("cluster_id", "Number of the environment on this node", "3"),
        Field("task_uuid", "Random number of the task", "9b2f0c5e-…"),
        Field(
            "additional_info.request_data",
            "Method and URL pattern; never query, headers or content",
            "PUT /api/clusters/{id}/changes",
        ),
        Field(
            "additional_info.response_data",
            "Status, and of a failure its cleaned message",
            "409 Conflict",
        ),
        Field("additional_info.operation", "What the task does", "deploy"),
        Field("additional_info.ended_with_status", "How the task ended", "ready"),
        Field("additional_info.message", "Cleaned message of the task", "Deployment is done"),
        Field("additional_info.parent_task_id", "The task that began it", "17"),
        Field("additional_info.subtasks_ids", "The tasks that it began", "[18, 19]"),
        Field("additional_info.nodes_from_resp", "Numbers of the nodes it touched", "[4, 5, 6]"),
        Field("additional_info.output", "Cleaned result of the task", "{}"),
    ),
)

CONFIGURATION = Level(
    "configuration",
    "How the environments look",
    "Shows which releases, options, plugins, roles and hardware are in use, so that these are tested and kept.",
    (
        Field("clusters_num", "How many environments", "3"),
        Field("allocated_nodes_num", "Nodes in environments", "17"),
        Field("unallocated_nodes_num", "Nodes that wait", "3"),
        Field("fuel_release", "Version of Fuel", "10.0"),
        Field("fuel_packages", "Installed packages of Fuel", "fuel-nailgun-10.0.0-1"),
        Field("clusters[].release", "OpenStack release and operating system", "Newton on Ubuntu 16.04"),
        Field("clusters[].mode", "Availability mode", "ha_compact"),
        Field("clusters[].status", "State of the environment", "operational"),
        Field(
            "clusters[].attributes",
            "Chosen options; no passwords, keys or addresses",
            "libvirt_type: kvm",
        ),
        Field("clusters[].network_configuration", "Kind of network", "segmentation_type: vlan"),
        Field("clusters[].installed_plugins", "Plugins and their versions", "lbaas 3.0.0"),
        Field(
            "clusters[].nodes",
            "Roles and hardware; no names, serials or addresses",
            "compute, 24 cores, 64 GB",
        ),
    ),
)

WORKLOADS = Level(
    "workloads",
    "What runs on OpenStack",
    "Shows how many virtual machines, volumes, images, flavors and tenants environments carry.",
    (
        Field("id", "A running number of the record on this node", "815"),
        Field("cluster_id", "Number of the environment on this node", "3"),
        Field("created_date", "The day", "2026-11-23"),
        Field("updated_time", "When the day was last looked at, UTC", "16:20:04"),
        Field("resource_type", "Kind of resource", "vm"),
        Field("resource_data", "Hashed ids with status, sizes and counts; no names", "status: ACTIVE"),
        Field("resource_checksum", "Fingerprint of the above", "3d0a…77"),
        Field("version_info", "Versions of environment and OpenStack", "newton-10.0"),
    ),
)

CONTACT = Level(
    "contact",
    "Your contact data",
    "Lets us ask you about problems that your statistics show. Only sent if you entered it.",
    (
        Field("user_information.name", "Your name", "Ada Lovelace"),
        Field("user_information.email", "Your e-mail address", "ada@example.com"),
        Field("user_information.company", "Your company", "Example Ltd"),
    ),
)

LEVELS: tuple[Level, ...] = (ACTIONS, CONFIGURATION, WORKLOADS, CONTACT)
NAMES: tuple[str, ...] = tuple(level.name for level in LEVELS)


def new_fields(agreed_version: int, levels: tuple[str, ...] = NAMES) -> Iterator[tuple[Level, Field]]:
    """The fields of these levels that a later text asks for: the diff the operator is shown."""
    for level in LEVELS:
        for field in level.fields:
            if level.name in levels and field.since > agreed_version:
                yield level, field
