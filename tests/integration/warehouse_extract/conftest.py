"""A writer of landed requests, as the collector's DDL says, and readers of what raw got."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
import zstandard

from fuel_stat.identity import installation_key, node_id


def action(uid: str, external_id: int, **body: Any) -> dict[str, Any]:
    """A finished action log as a node sends it."""
    inner = {
        "id": external_id, "action_type": "nailgun_task", "action_name": "deploy",
        "start_timestamp": "2026-11-01T10:00:00.5", "end_timestamp": "2026-11-01T10:05:00", **body,
    }  # fmt: skip
    return {"master_node_uid": uid, "external_id": external_id, "body": inner}


@dataclass
class Collector:
    """Writes landed rows on a connection to the primary."""

    dsn: str

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn)

    def land(
        self,
        connection: psycopg.Connection[Any],
        uid: str,
        records: Sequence[dict[str, Any]],
        *,
        kind: str = "action_logs",
        taken: Sequence[int] | None = None,
        received_at: datetime | None = None,
        tier: int = 0,
        document: Any = None,
        contact: bool = True,
    ) -> uuid.UUID:
        """One landed request, its contact and, for action logs, its ledger; in the connection's transaction."""
        payload = json.dumps(records if document is None else document).encode()
        row = connection.execute(
            "insert into collector.landing (received_at, node, uid, kind, tier, records, taken, payload_bytes, payload)"
            " values (coalesce(%s, clock_timestamp()), %s, %s, %s, %s, %s, %s, %s, %s) returning landing_id",
            (
                received_at, node_id(uid), uid, kind, tier, len(records),
                None if taken is None else list(taken), len(payload), zstandard.compress(payload, 1),
            ),
        ).fetchone()  # fmt: skip
        connection.execute(
            "insert into collector.node (node, uid) values (%s, %s) on conflict do nothing",
            (node_id(uid), uid),
        )
        if contact:
            connection.execute(
                "insert into collector.contact (node, uid, day) values (%s, %s, now()::date) on conflict do nothing",
                (node_id(uid), uid),
            )
        if kind == "action_logs":
            positions = range(len(records)) if taken is None else taken
            self.note(connection, uid, [records[p]["external_id"] for p in positions])
        assert row
        return row[0]

    def note(self, connection: psycopg.Connection[Any], uid: str, ids: Iterable[int]) -> None:
        """The keys in the bitmap ledger."""
        for number in ids:
            bit = 1 << (number & 63)
            connection.execute(
                "insert into collector.ledger_bitmap as l (node, kind, bucket, bits, fresh)"
                " values (%s, 'action_logs', %s, %s, %s) on conflict (node, kind, bucket)"
                " do update set bits = l.bits | excluded.bits, fresh = excluded.fresh",
                (node_id(uid), number >> 6, bit - (bit >> 63 << 64), bit - (bit >> 63 << 64)),
            )


def raw_actions(dsn: str, kind: str = "action_logs") -> list[tuple[uuid.UUID, int, dict[str, Any]]]:
    """Landing id, position and record of a kind in raw, in order."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            f"select landing_id, position, record from raw.{kind} order by 1, 2"
        ).fetchall()


@pytest.fixture
def collector(collector_pair: Any) -> Collector:
    """A writer on the shared primary, as its owner role."""
    return Collector(collector_pair.dsn("fuel_admin"))


@pytest.fixture
def key_of(pepper: bytes) -> Any:
    """uid → installation key."""
    return lambda uid: installation_key(pepper, uid)
