"""The day's record of a cluster's workloads: what there is, and what came, went and changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import clock
from .errors import ProviderError
from .providers import ClusterWorkload
from .sanitise import workloads as allowed
from .store import Store
from .store.upsert import count, insert_for

Resource = dict[str, Any]


def checksum(resources: Sequence[Resource]) -> str:
    """SHA-1 (hex) of what is there, the same whatever the order of keys or of resources."""
    written = sorted(json.dumps(each, sort_keys=True, separators=(",", ":")) for each in resources)
    return hashlib.sha1("\n".join(written).encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class Change:
    """What happened between two looks: resources that came, went, and what changed of the others."""

    added: list[Resource]
    removed: list[Resource]
    modified: list[Resource]


def compare(before: Sequence[Resource], now: Sequence[Resource], at: str) -> Change:
    """Compare two looks by resource id.

    As real nodes have it: ``added`` holds the id, ``removed`` the resource as it was, ``modified`` the id and the
    former values of what changed; each with the time (``HH:MM:SS.ffffff``, UTC) at which we saw it.
    """
    old = {_key(each): each for each in before}
    new = {_key(each): each for each in now}
    return Change(
        added=[{"id": new[key]["id"], "time": at} for key in new if key not in old],
        removed=[{**old[key], "time": at} for key in old if key not in new],
        modified=[
            {**_former(old[key], new[key]), "id": old[key]["id"], "time": at}
            for key in old
            if key in new and old[key] != new[key]
        ],
    )


def _former(old: Resource, new: Resource) -> Resource:
    return {name: value for name, value in old.items() if name not in new or new[name] != value}


def record(store: Store, looks: Sequence[ClusterWorkload], at: datetime | None = None) -> int:
    """Enter what providers saw into the records of the day of ``at`` (naive UTC, now by default).

    One row a cluster, type and day; an unchanged look writes nothing but a new day's first row.
    Every look is entered by itself: one that cannot be is counted and does not hold up the others.
    Returns how many rows were written. Raises ProviderError for an unknown resource type.
    """
    seen_at = at or clock.now()
    written = 0
    for look in looks:
        if look.resource_type not in allowed.RESOURCES:
            raise ProviderError("unknown_resource_type", f"The contract knows no {look.resource_type!r}.")
        with store.write() as connection:
            written += _enter(connection, store, look, seen_at)
    return written


def _enter(connection: Connection, store: Store, look: ClusterWorkload, at: datetime) -> int:
    current = _unique(allowed.resources(look.resource_type, look.resources))
    digest = checksum(current)
    today = _latest(connection, store.tables.workloads, look, at.date())
    if today is not None and today["created_date"] == at.date():
        if today["resource_checksum"] == digest:
            return 0
        return _update(connection, store, look, today, current, digest, at)
    before = [] if today is None else today["resource_data"]["current"]
    change = compare(before, current, at.time().isoformat())
    data = {
        "current": current,
        "added": change.added,
        "removed": change.removed,
        "modified": change.modified,
    }
    row = {
        "cluster_id": look.cluster_id,
        "resource_type": look.resource_type,
        "created_date": at.date(),
        "updated_time": at.time(),
        "resource_data": data,
        "resource_checksum": digest,
        "version_info": allowed.version_info(look.version_info),
    }
    insert = insert_for(connection, store.tables.workloads).values(**row)
    result = connection.execute(insert.on_conflict_do_nothing())
    count(connection, store.tables.counters, {"workload_rows": result.rowcount})
    return int(result.rowcount)


def _update(
    connection: Connection,
    store: Store,
    look: ClusterWorkload,
    today: Mapping[str, Any],
    current: list[Resource],
    digest: str,
    at: datetime,
) -> int:
    before = today["resource_data"]
    change = compare(before["current"], current, at.time().isoformat())
    data = {
        "current": current,
        "added": before["added"] + change.added,
        "removed": before["removed"] + change.removed,
        "modified": before["modified"] + change.modified,
    }
    table = store.tables.workloads
    result = connection.execute(
        table.update()
        .where(table.c.id == today["id"], table.c.version == today["version"])
        .values(
            resource_data=data,
            resource_checksum=digest,
            # a clock set back must not make the record older than it was
            updated_time=max(at.time(), today["updated_time"]),
            version_info=allowed.version_info(look.version_info),
            version=table.c.version + 1,
            is_sent=False,
        )
    )
    return int(result.rowcount)


def _latest(
    connection: Connection, table: sa.Table, look: ClusterWorkload, upto: date
) -> Mapping[str, Any] | None:
    query = (
        sa.select(table)
        .where(
            table.c.cluster_id == look.cluster_id,
            table.c.resource_type == look.resource_type,
            table.c.created_date <= upto,
        )
        .order_by(table.c.created_date.desc())
        .limit(1)
    )
    found = connection.execute(query).mappings().first()
    return None if found is None else {str(key): value for key, value in found.items()}


def _unique(resources: Sequence[Resource]) -> list[Resource]:
    # the last one wins should a cloud list a resource twice (its paging may)
    return list({_key(each): each for each in resources}.values())


def _key(resource: Resource) -> str:
    return str(resource["id"])
