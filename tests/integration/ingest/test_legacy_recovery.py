"""Nodes in the field that meet 429 and 503 lose nothing: they send again, as they always did, until all is taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import zstandard

from tests.conftest import Pair
from tests.integration.ingest.samples import action, structure, task, workload
from tests.integration.ingest.server import Server

NODES, ACTIONS, WORKLOADS = 6, 330, 25


@dataclass
class LegacyNode:
    """The sender of 6.0 to 10.0: reads ``resp.json()["status"]`` of every answer, knows no Retry-After, pages with
    LIMIT 100 OFFSET n over rows that it has just marked, repeats growing lists of workloads, sends again for ever."""

    uid: str
    actions: dict[int, Any] = field(default_factory=dict)
    workloads: dict[int, Any] = field(default_factory=dict)
    structure_taken: bool = False
    answers: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.actions = {number: action(self.uid, number) for number in range(ACTIONS)}
        self.actions[ACTIONS] = task(self.uid, ACTIONS, "2026-11-23T17:05:00.000000")
        self.actions[ACTIONS + 1] = task(self.uid, ACTIONS + 1, None)
        self.workloads = {number: workload(self.uid, number) for number in range(WORKLOADS)}

    @property
    def unsent(self) -> int:
        """Rows that another cycle could still get rid of; one task never ends."""
        return len(self.actions) - 1 + len(self.workloads) + (not self.structure_taken)

    def cycle(self, url: str) -> None:
        """Ping, action logs, structure, workloads, over one connection, with five seconds of patience."""
        with httpx.Client(base_url=url, timeout=5.0) as client:
            answer = client.get("/api/v1/ping/")
            self.answers[answer.status_code] += 1
            if answer.json()["status"] != "ok":
                return
            self._send_actions(client)
            self.structure_taken |= (
                self._send(client, "installation_structure", structure(self.uid)) is not None
            )
            self._send_workloads(client)

    def _send(self, client: httpx.Client, kind: str, content: Any) -> dict[str, Any] | None:
        headers = {"content-type": "application/json", "master-node-uid": self.uid}
        answer = client.post(f"/api/v1/{kind}/", content=json.dumps({kind: content}), headers=headers)
        self.answers[answer.status_code] += 1
        assert answer.status_code in (200, 201, 429, 503), answer.text
        assert (answer.status_code in (429, 503)) == ("retry-after" in answer.headers)
        # What makes an old node abort its cycle is an answer that it cannot read this from.
        document: dict[str, Any] = answer.json()
        return document if answer.status_code in (200, 201) and document["status"] == "ok" else None

    def _send_actions(self, client: httpx.Client) -> None:
        offset = 0
        while page := list(self.actions.values())[offset : offset + 100]:
            document = self._send(client, "action_logs", page)
            for entry in document["action_logs"] if document else ():
                if entry["status"] not in ("failed", "skipped"):
                    self.actions.pop(entry["external_id"], None)
            offset += 100

    def _send_workloads(self, client: httpx.Client) -> None:
        offset, growing = 0, []
        while page := list(self.workloads.values())[offset : offset + 10]:
            growing += page
            document = self._send(client, "oswl_stats", growing)
            for entry in document["oswl_stats"] if document else ():
                if entry["status"] != "failed":
                    self.workloads.pop(entry["id"], None)
            offset += 10


def landed(pair: Pair, kind: str, key: str) -> Counter[tuple[str, int]]:
    """How often each record was landed, by uid and id, from the payloads themselves."""
    found: Counter[tuple[str, int]] = Counter()
    with psycopg.connect(pair.dsn()) as connection:
        rows = connection.execute(
            "select uid, taken, payload from collector.landing where kind = %s", (kind,)
        ).fetchall()
    for uid, taken, payload in rows:
        document = orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(payload)))
        records = document[kind] if isinstance(document, dict) else document
        positions = range(len(records)) if taken is None else taken
        found.update((uid, records[position][key]) for position in positions)
    return found


@pytest.mark.slow
def test_limited_and_turned_away_nodes_lose_nothing(
    collector_pair: Pair, serve: Callable[..., Server]
) -> None:
    """Every quota is met, then the database refuses; when both are over, each record of each node is there once."""
    dsn = collector_pair.dsn("fuel_ingest")
    nodes = [LegacyNode(f"legacy-{number}") for number in range(NODES)]

    def cycles(server: Server, count: int) -> None:
        for _ in range(count):
            for node in nodes:
                node.cycle(server.url)

    tight = serve(
        dsn,
        FUEL_STAT_INGEST_NODE_PER_HOUR="8",
        FUEL_STAT_INGEST_PREFIX_PER_HOUR="40",
        FUEL_STAT_INGEST_NEW_NODES_PER_HOUR="3",
    )
    cycles(tight, 2)
    refused = {
        line.split('"')[1]
        for line in httpx.get(f"{tight.url}/metrics").text.splitlines()
        if line.startswith("ingest_limited_total{")
    }
    assert refused == {"node_quota", "prefix_quota", "new_nodes_quota"}
    tight.stop()

    server = serve(dsn, FUEL_STAT_INGEST_STATEMENT_SECONDS="0.05", workers=1)
    with psycopg.connect(collector_pair.dsn()) as connection:
        connection.execute("lock table collector.landing, collector.ledger_bitmap in access exclusive mode")
        for node in nodes[:2]:
            node.cycle(server.url)
        connection.rollback()
    turned_away = sum(node.answers[503] for node in nodes)
    assert turned_away > 0
    assert sum(node.answers[429] for node in nodes) > 20

    for _ in range(12):
        cycles(server, 1)
        if not any(node.unsent for node in nodes):
            break
    assert [node.unsent for node in nodes] == [0] * NODES

    once = {(node.uid, number) for node in nodes for number in range(ACTIONS + 1)}
    assert landed(collector_pair, "action_logs", "external_id") == Counter(once)
    assert landed(collector_pair, "oswl_stats", "id") == Counter(
        {(node.uid, number): 1 for node in nodes for number in range(WORKLOADS)}
    )
    with psycopg.connect(collector_pair.dsn()) as connection:
        statement = "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
        assert connection.execute(statement).fetchone() == (len(once),)
        statement = "select uid, count(*) from collector.landing where kind = %s group by uid order by uid"
        structures = connection.execute(statement, ("installation_structure",)).fetchall()
        assert structures == [(node.uid, 1) for node in nodes]
        statement = "select count(*) from collector.quarantine"
        assert connection.execute(statement).fetchone() == (0,)
