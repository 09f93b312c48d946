"""OpenStack workloads: a record a (cluster, type, day) on which something changed, as Nailgun keeps them."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from fleet.catalogue import RESOURCE_TYPES
from fleet.clock import Clock

Resource = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One day record. `at` is the true UTC time of its last update, of which day and time follow."""

    id: int
    cluster_id: int
    resource_type: str
    at: datetime
    data: dict[str, list[Resource]]
    version_info: dict[str, Any] | None

    def record(self, uid: str, clock: Clock) -> dict[str, Any]:
        """The record as the node sends it."""
        believed = clock.believes(self.at)
        document: dict[str, Any] = {
            "master_node_uid": uid,
            "id": self.id,
            "cluster_id": self.cluster_id,
            "created_date": believed.date().isoformat(),
            "updated_time": believed.time().isoformat("microseconds"),
            "resource_type": self.resource_type,
            "resource_checksum": _checksum(self.data["current"]),
            "resource_data": self.data,
        }
        if self.version_info is not None:
            document["version_info"] = self.version_info
        return document


def _checksum(current: list[Resource]) -> str:
    return hashlib.sha1(json.dumps(current, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _token(rng: Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def _uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _vm(rng: Random) -> Resource:
    return {
        "id": _uuid(rng),
        "status": rng.choice(("ACTIVE", "ACTIVE", "ACTIVE", "SHUTOFF", "ERROR")),
        "tenant_id": _token(rng),
        "host_id": _token(rng),
        "created_at": "2016-03-02T11:12:13Z",
        "power_state": rng.choice((1, 1, 1, 4)),
        "flavor_id": str(rng.randint(1, 5)),
        "image_id": _uuid(rng),
    }


def _volume(rng: Random) -> Resource:
    attached = rng.random() < 0.5
    attachment = {"id": _uuid(rng), "device": "/dev/vdb", "server_id": _uuid(rng)}
    return {
        "id": _uuid(rng),
        "availability_zone": "nova",
        "encrypted_flag": rng.random() < 0.05,
        "bootable_flag": rng.choice(("true", "false")),
        "status": "in-use" if attached else "available",
        "volume_type": rng.choice((None, "lvm", "ceph")),
        "size": rng.choice((1, 5, 10, 20, 50, 100)),
        "snapshot_id": None,
        "tenant_id": _token(rng),
        "attachments": [attachment] if attached else [],
    }


def _flavor(rng: Random) -> Resource:
    return {
        "id": str(rng.randint(1, 10**6)),
        "ram": rng.choice((512, 1024, 2048, 4096, 8192)),
        "vcpus": rng.randint(1, 8),
        "ephemeral": 0,
        "disk": rng.choice((1, 20, 40, 80)),
        "swap": rng.choice(("", 512)),
    }


def _image(rng: Random) -> Resource:
    return {
        "id": _uuid(rng),
        "minDisk": 0,
        "minRam": rng.choice((0, 64, 512)),
        "sizeBytes": rng.choice((13287936, 262144000, None)),
        "created_at": "2016-03-01T10:00:00Z",
        "updated_at": "2016-03-01T10:00:05Z",
    }


def _tenant(rng: Random) -> Resource:
    return {"id": _token(rng), "enabled_flag": rng.random() < 0.95}


def _keystone_user(rng: Random) -> Resource:
    tenant = rng.choice((None, _token(rng)))
    return {"id": _token(rng), "enabled_flag": rng.random() < 0.95, "tenant_id": tenant}


def _security_group(rng: Random) -> Resource:
    return {"id": _uuid(rng), "tenant_id": _token(rng), "rules": rng.randint(2, 12)}


def _cluster_stats(rng: Random) -> Resource:
    return {"id": "ceph", "pools": rng.randint(3, 12), "osd_number": rng.randint(3, 30)}


_MAKERS: dict[str, Callable[[Random], Resource]] = {
    "vm": _vm,
    "tenant": _tenant,
    "volume": _volume,
    "security_group": _security_group,
    "keystone_user": _keystone_user,
    "flavor": _flavor,
    "cluster_stats": _cluster_stats,
    "image": _image,
}

_CHANGES_A_DAY = {"vm": 0.2, "volume": 0.12, "image": 0.03, "tenant": 0.03, "keystone_user": 0.03}


def workloads_of(
    rng: Random,
    cluster_id: int,
    since: datetime,
    until: datetime,
    version_info: dict[str, Any] | None,
) -> Iterator[Workload]:
    """The day records of a cluster between two true UTC times; ids are given by the caller (0 here)."""
    for resource_type in RESOURCE_TYPES:
        single = resource_type == "cluster_stats"
        start = [_MAKERS[resource_type](rng) for _ in range(1 if single else rng.randint(1, 5))]
        at = since + timedelta(minutes=rng.uniform(5, 60))
        data = _day(start, added=start, at=at)
        while at < until:
            yield Workload(0, cluster_id, resource_type, at, data, version_info)
            rate = _CHANGES_A_DAY.get(resource_type, 0.01)
            at += timedelta(days=max(1.0, rng.expovariate(rate)))
            data = changed(rng, resource_type, data["current"], at)


def changed(
    rng: Random, resource_type: str, current: list[Resource], at: datetime
) -> dict[str, list[Resource]]:
    """What a day on which something changed holds: one added, one removed, or one modified."""
    draw = rng.random()
    if draw < 0.5 or not current:
        new = _MAKERS[resource_type](rng)
        return _day([*current, new], added=[new], at=at)
    victim = rng.choice(current)
    rest = [resource for resource in current if resource is not victim]
    if draw < 0.8:
        return _day(rest, removed=[victim], at=at)
    return _day([*rest, {**victim, "status": "ACTIVE"}], modified=[victim], at=at)


def _day(
    current: list[Resource],
    *,
    at: datetime,
    added: list[Resource] | None = None,
    removed: list[Resource] | None = None,
    modified: list[Resource] | None = None,
) -> dict[str, list[Resource]]:
    time = at.time().isoformat("microseconds")
    return {
        "current": current,
        "added": [{"id": resource["id"], "time": time} for resource in added or []],
        "removed": [{**resource, "time": time} for resource in removed or []],
        "modified": [{**resource, "time": time} for resource in modified or []],
    }


def later_the_same_day(rng: Random, workload: Workload) -> Workload:
    """The same record after one more change; it stays on its day, so its time only grows."""
    end_of_day = workload.at.replace(hour=23, minute=59, second=59, microsecond=0)
    at = min(workload.at + timedelta(minutes=rng.uniform(10, 300)), end_of_day)
    more = changed(rng, workload.resource_type, workload.data["current"], at)
    data = {
        key: more[key] if key == "current" else [*workload.data[key], *more[key]] for key in workload.data
    }
    return replace(workload, at=max(at, workload.at), data=data)
