"""What waits to be sent, and what became of it. A mark names the version that was sent, never a later one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import now
from ..consent import Permission, agreed
from ..store import Store
from ..store.upsert import insert_or_ignore
from .parcel import Item

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
        before_consent = self._permission.after.get(kind, 0)
        conditions = [table.c.is_sent == sa.false(), table.c.id > before_consent, ~refused]
        if kind == "action_logs":
            conditions.append(table.c.end_timestamp.is_not(None))
        return sa.and_(*conditions)

    def _table(self, kind: str) -> sa.Table:
        tables = self._store.tables
        return tables.actions if kind == "action_logs" else tables.workloads

    def _item(self, kind: str, row: Mapping[str, Any]) -> Item:
        record = self._action(row) if kind == "action_logs" else self._workload(row)
        return Item(row["id"], row["version"], record)

    def _action(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: wire_value(row[name]) for name in _BODY}
        found["additional_info"] = row["additional_info"] or {}
        body = agreed(found, ("actions",), self._permission.text_version)
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
        return agreed(record, ("workloads",), self._permission.text_version)

    def settle(self, kind: str, fates: Iterable[tuple[Item, str, str]]) -> None:
        """Keep what became of records: (item, ``sent``, ``park`` or ``keep``, the collector's word)."""
        decided = list(fates)
        with self._store.write() as connection:
            self._mark(connection, kind, [(item, word) for item, fate, word in decided if fate == "sent"])
            self._park(connection, kind, [(item, word) for item, fate, word in decided if fate == "park"])

    def _mark(self, connection: Connection, kind: str, done: Sequence[tuple[Item, str]]) -> None:
        if not done:
            return
        table = self._table(kind)
        statement = (
            table.update()
            .where(table.c.id == sa.bindparam("row"), table.c.version == sa.bindparam("sent_version"))
            .values(is_sent=sa.true(), sent_at=now(), sent_answer=sa.bindparam("word"))
        )
        rows = [{"row": item.row_id, "sent_version": item.version, "word": word[:40]} for item, word in done]
        connection.execute(statement, rows)

    def _park(self, connection: Connection, kind: str, refused: Sequence[tuple[Item, str]]) -> None:
        moment = now()
        rows = [
            {
                "kind": kind,
                "row_id": item.row_id,
                "version": item.version,
                "reason": word[:200],
                "parked_at": moment,
            }
            for item, word in refused
        ]
        insert_or_ignore(connection, self._store.tables.parked, rows)


def wire_value(value: Any) -> Any:
    """A column's value as the wire has it: timestamps as naive UTC text with ``T`` and microseconds."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value
