"""Small well-formed records, to be varied by tests."""

from __future__ import annotations

from typing import Any


def action(uid: str, number: int, **changes: Any) -> dict[str, Any]:
    """An action log of a request; ``changes`` go into its body."""
    body = {
        "id": number,
        "actor_id": "f169bf138d95a2538a4d54f298ea3d9477cefad21ece49c5d9fa7eaa5ba42878",
        "action_group": "cluster_changes",
        "action_name": "cluster_collection",
        "action_type": "http_request",
        "start_timestamp": "2026-11-23T17:01:09.794677",
        "end_timestamp": "2026-11-23T17:01:09.911025",
        "additional_info": {
            "request_data": {"url": "/api/clusters/", "http_method": "POST", "data": {}},
            "response_data": {"status": "201 Created", "data": {}},
        },
        "is_sent": False,
        "cluster_id": None,
    }
    return {"master_node_uid": uid, "external_id": number, "body": {**body, **changes}}


def task(uid: str, number: int, end: str | None) -> dict[str, Any]:
    """An action log of a Nailgun task, finished when ``end`` is a time."""
    info = {"parent_task_id": None, "subtasks_ids": [], "operation": "deploy", "message": "", "output": None}
    return action(uid, number, action_type="nailgun_task", end_timestamp=end, additional_info=info)


def workload(uid: str, number: int, resource_type: str = "vm", **changes: Any) -> dict[str, Any]:
    """A workload record."""
    record = {
        "master_node_uid": uid,
        "id": number,
        "cluster_id": 1,
        "created_date": "2026-11-22",
        "updated_time": "17:01:40.011684",
        "resource_type": resource_type,
        "resource_checksum": "59b3bc042d8a652dd4244493f5f24b3b97b90afd",
        "resource_data": {"current": [{"id": "1"}], "added": [], "removed": [], "modified": []},
    }
    return {**record, **changes}


def structure(uid: str, **changes: Any) -> dict[str, Any]:
    """An installation structure with one cluster of one node."""
    cluster = {
        "id": 1,
        "nodes_num": 1,
        "nodes": [{"id": 1, "roles": ["compute"], "os": "ubuntu", "status": "ready", "manufacturer": None}],
        "mode": "ha_compact",
        "release": {"version": "2015.1.0-7.0", "os": "Ubuntu", "name": "Kilo on Ubuntu 14.04"},
        "status": "operational",
        "attributes": {"libvirt_type": "kvm"},
    }
    record = {
        "master_node_uid": uid,
        "clusters_num": 1,
        "allocated_nodes_num": 1,
        "unallocated_nodes_num": 0,
        "clusters": [cluster],
    }
    return {**record, **changes}
