"""A small, readable set of installations: what the tests know to be the truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

UID = "4c6cf1d4-6d0f-4a5b-9a43-7f9f6c3d8f01"
OTHER_UID = "0e7b1b1e-8f5c-4a8b-8d8e-1d2f3a4b5c02"
FILTERED_UID = "9a9a9a9a-0000-4000-8000-000000000003"
FIRST_DAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LAST_DAY = FIRST_DAY + timedelta(days=4)


def node(number: int, *roles: str, **more: Any) -> dict[str, Any]:
    """A node of a cluster."""
    return {
        "id": number,
        "roles": list(roles),
        "status": "ready",
        "os": "ubuntu",
        "online": True,
        "manufacturer": "Supermicro",
        "meta": {"cpu": {"real": 1, "total": 4, "spec": [{"model": "Xeon", "frequency": 2000}]}},
        "nic_interfaces": [{"id": 1}, {"id": 2}],
        **more,
    }


def cluster(number: int, status: str, hypervisor: str, nodes: int, **more: Any) -> dict[str, Any]:
    """A cluster with so many nodes; ``more`` overrides."""
    return {
        "id": number,
        "mode": "ha_compact",
        "status": status,
        "nodes_num": nodes,
        "nodes": [node(i + 1, "controller" if i == 0 else "compute") for i in range(nodes)],
        "fuel_version": "9.0",
        "is_customized": False,
        "release": {"name": "Mitaka on Ubuntu 14.04", "os": "Ubuntu", "version": "mitaka-9.0"},
        "attributes": {"libvirt_type": hypervisor, "repos": [{"name": "mos", "uri": "http://repo/"}]},
        "installed_plugins": [{"name": "lma", "version": "1.0.0", "groups": ["monitoring"]}],
        **more,
    }


def structure(release: str, *clusters: Any, **more: Any) -> dict[str, Any]:
    """An installation's structure."""
    return {
        "clusters_num": len(clusters),
        "clusters": list(clusters),
        "allocated_nodes_num": 3,
        "unallocated_nodes_num": 1,
        "fuel_release": {"release": release, "api": "1.0", "feature_groups": ["mirantis"]},
        **more,
    }


STRUCTURES: dict[str, dict[str, Any]] = {
    UID: structure("9.0", cluster(1, "operational", "kvm", 3), cluster(2, "new", "qemu", 1)),
    OTHER_UID: structure(
        "10.0",
        cluster(
            7, "error", "QEMU", 1, attributes={"libvirt_type": "QEMU", "kernel_params": "=cmd|' /C calc'!A0"}
        ),
        cluster(8, "<img src=x onerror=alert(1)>", "kvm", 0),
    ),
    "deformed": structure("9.0", "not a cluster", {"id": 3}),
    FILTERED_UID: structure("9.0", cluster(1, "operational", "kvm", 5)),
}
FILTERED = {FILTERED_UID}


def task(number: int, name: str, ended: datetime, status: str, **more: Any) -> dict[str, Any]:
    """An action log of a finished task."""
    return {
        "external_id": number,
        "body": {
            "id": number,
            "action_group": "operations",
            "action_name": name,
            "action_type": "nailgun_task",
            "start_timestamp": (ended - timedelta(minutes=5)).replace(tzinfo=None).isoformat(),
            "end_timestamp": ended.replace(tzinfo=None).isoformat(),
            "additional_info": {"ended_with_status": status, "operation": name},
            **more,
        },
    }


ACTIONS: dict[str, list[dict[str, Any]]] = {
    UID: [
        task(1, "verify_networks", FIRST_DAY, "error", cluster_id=1),
        task(2, "deploy", FIRST_DAY + timedelta(days=1), "ready", cluster_id=1),
        task(3, "verify_networks", FIRST_DAY + timedelta(days=2), "ready", cluster_id=1),
    ],
    OTHER_UID: [task(1, "deploy", FIRST_DAY, "error", cluster_id=7)],
}


def vm(identity: str, status: str = "ACTIVE") -> dict[str, Any]:
    """A virtual machine as a workload record lists it."""
    return {
        "id": identity,
        "status": status,
        "tenant_id": "t1",
        "host_id": "h1",
        "created_at": "2026-03-01T10:00:00Z",
        "power_state": 1,
        "flavor_id": "1",
        "image_id": "i1",
    }


def workload(number: int, day: datetime, current: list[Any], **changes: Any) -> dict[str, Any]:
    """A workload record of one day."""
    return {
        "id": number,
        "cluster_id": 1,
        "created_date": day.date().isoformat(),
        "updated_time": "12:00:00.5",
        "resource_type": "vm",
        "resource_checksum": f"sum{number}",
        "resource_data": {"added": [], "removed": [], "modified": [], "current": current, **changes},
    }


WORKLOADS: dict[str, list[dict[str, Any]]] = {
    UID: [
        workload(1, FIRST_DAY, [vm("a"), vm("b")], added=[{"id": "a", "time": "09:00:00"}]),
        workload(2, FIRST_DAY + timedelta(days=3), [vm("a")], removed=[{**vm("b"), "time": "10:00:00"}]),
    ]
}
