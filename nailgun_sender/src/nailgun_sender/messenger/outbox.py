"""What waits to be sent, and what became of it. A mark names the version that was sent, never a later one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import now
from ..consent import LEVELS, Permission
from ..store import Store
from ..store.upsert import insert_or_ignore
from .parcel import Item

KIND_OF_LEVEL = {"actions": "action_logs", "workloads": "oswl_stats"}
_BODY = (
    "actor_id",
    "action_group",
    "action_name",
    "action_type",
    "start_timestamp",
    "end_timestamp",
    "cluster_id",
    "task_uuid",
)


class Outbox:
    """The fresh records of this node, under one permission.

    Args:
        store: the node's database.
        uid: the node's uid, part of every record.
        permission: what may be sent; asked for anew by each cycle.
    """

    def __init__(self, store: Store, uid: str, permission: Permission) -> None:
        self._store = store
        self._uid = uid
        self._permission = permission

    def batches(self, kind: str, most_records: int, most_bytes: int) -> Iterator[list[Item]]:
        """The fresh records of a kind in order of their ids, each once, in bounded batches."""
        after = 0
        while True:
            rows = self._page(kind, after, most_records)
            if not rows:
                return
            after = rows[-1]["id"]
            batch: list[Item] = []
            size = 0
            for row in rows:
                item = self._item(kind, row)
                length = len(json.dumps(item.record))
                if batch and size + length > most_bytes:
                    yield batch
                    batch, size = [], 0
                batch.append(item)
                size += length
            yield batch

    def waiting(self, kind: str) -> int:
        """How many records of a kind wait to be sent under this permission."""
        with self._store.read() as connection:
            query = sa.select(sa.func.count()).select_from(self._table(kind)).where(self._fresh(kind))
            return int(connection.execute(query).scalar_one())

    def _page(self, kind: str, after: int, limit: int) -> list[Mapping[str, Any]]:
        table = self._table(kind)
        query = (
            sa.select(table).where(self._fresh(kind), table.c.id > after).order_by(table.c.id).limit(limit)
        )
        with self._store.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _fresh(self, kind: str) -> Any:
        table, parked = self._table(kind), self._store.tables.parked
        refused = (
            sa.select(parked.c.row_id)
            .where(parked.c.kind == kind, parked.c.row_id == table.c.id, parked.c.version == table.c.version)
            .exists()
        )
        conditions = [table.c.is_sent == sa.false(), ~refused]
        since = self._permission.since
        if kind == "action_logs":
            conditions.append(table.c.end_timestamp.is_not(None))
            if since is not None:
                conditions.append(table.c.recorded_at >= since)
        elif since is not None:
            conditions.append(table.c.created_date >= since.date())
        return sa.and_(*conditions)

    def _table(self, kind: str) -> sa.Table:
        tables = self._store.tables
        return tables.actions if kind == "action_logs" else tables.workloads

    def _item(self, kind: str, row: Mapping[str, Any]) -> Item:
        record = self._action(row) if kind == "action_logs" else self._workload(row)
        return Item(row["id"], row["version"], record)

    def _action(self, row: Mapping[str, Any]) -> dict[str, Any]:
        agreed = agreed_fields("actions", self._permission.text_version)
        body = {name: wire_value(row[name]) for name in _BODY if name in agreed}
        info = row["additional_info"] or {}
        body["additional_info"] = {
            name: value for name, value in info.items() if f"additional_info.{name}" in agreed
        }
        body["id"] = row["id"]
        return {"master_node_uid": self._uid, "external_id": row["id"], "body": body}

    def _workload(self, row: Mapping[str, Any]) -> dict[str, Any]:
        record = {
            "master_node_uid": self._uid,
            "id": row["id"],
            "cluster_id": row["cluster_id"],
            "created_date": row["created_date"].isoformat(),
            "updated_time": row["updated_time"].isoformat(),
            "resource_type": row["resource_type"],
            "resource_checksum": row["resource_checksum"],
            "resource_data": row["resource_data"],
        }
        if row["version_info"] is not None:
            record["version_info"] = row["version_info"]
        return record

    def settle(self, kind: str, fates: Iterable[tuple[Item, str, str]]) -> None:
        """Keep what became of records: (item, ``sent``, ``park`` or ``keep``, the collector's word)."""
        with self._store.write() as connection:
            for item, fate, word in fates:
                if fate == "sent":
                    self._mark(connection, kind, item, word)
                elif fate == "park":
                    self._park(connection, kind, item, word)

    def _mark(self, connection: Connection, kind: str, item: Item, word: str) -> None:
        table = self._table(kind)
        connection.execute(
            table.update()
            .where(table.c.id == item.row_id, table.c.version == item.version)
            .values(is_sent=sa.true(), sent_at=now(), sent_answer=word[:40])
        )

    def _park(self, connection: Connection, kind: str, item: Item, word: str) -> None:
        row = {
            "kind": kind,
            "row_id": item.row_id,
            "version": item.version,
            "reason": word[:200],
            "parked_at": now(),
        }
        insert_or_ignore(connection, self._store.tables.parked, [row])


def agreed_fields(level_name: str, text_version: int) -> set[str]:
    """The paths of a level that the agreed text named."""
    level = next(level for level in LEVELS if level.name == level_name)
    return {field.path for field in level.fields if field.since <= text_version}


def wire_value(value: Any) -> Any:
    """A column's value as the wire has it: timestamps as naive UTC text with ``T`` and microseconds."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value
