"""Kills under load: what was acknowledged is in the database, once; what was not is sent again until it is."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import zstandard

from tests.conftest import Pair
from tests.integration.ingest.samples import action, structure, workload
from tests.integration.ingest.server import Server

CLIENTS = 6


@dataclass
class Node:
    """A client that behaves like a node: it sends until it is told that a record was taken, and sends again."""

    uid: str
    server: Server
    dice: random.Random
    next_id: int = 0
    pending: list[int] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    workloads: set[int] = field(default_factory=set)

    def cycle(self, client: httpx.Client) -> None:
        """One round of sending: action logs (with a refused one among them), a structure, workloads."""
        while len(self.pending) < 20:
            self.pending.append(self.next_id)
            self.next_id += 1
        chosen = self.dice.sample(self.pending, 15)
        records = [action(self.uid, number) for number in chosen]
        records.append(action(self.uid, -1, action_type="cron"))
        for entry in self.post(client, "action_logs", records):
            self.answers[entry["status"]] += 1
            if entry["status"] in ("added", "existed"):
                self.acknowledged.add(entry["external_id"])
        self.pending = [number for number in self.pending if number not in self.acknowledged]
        self.post(client, "installation_structure", structure(self.uid, clusters_num=self.next_id))
        numbers = [self.dice.randrange(1000) for _ in range(5)]
        for entry in self.post(client, "oswl_stats", [workload(self.uid, number) for number in numbers]):
            assert entry["status"] in ("added", "updated")
            self.workloads.add(entry["id"])

    def post(self, client: httpx.Client, kind: str, content: Any) -> list[dict[str, Any]]:
        """The per-record answers; none when the request failed. Every answer is a success or a JSON 503."""
        headers = {"master-node-uid": self.uid}
        try:
            answer = client.post(f"/api/v1/{kind}/", json={kind: content}, headers=headers)
        except httpx.TransportError:
            self.answers["no answer"] += 1
            time.sleep(0.05)
            return []
        assert answer.status_code in (200, 201, 503), answer.text
        if answer.status_code == 503:
            assert answer.json()["status"] == "error"
            assert "retry-after" in answer.headers
            self.answers["503"] += 1
            time.sleep(0.1)
            return []
        return list(answer.json().get(kind, []))


def storm(pair: Pair, serve: Callable[..., Server], seconds: float, seed: int) -> list[Node]:
    """Load from several nodes, while workers are killed every now and then and Postgres a few times."""
    server = serve(pair.dsn("fuel_ingest"))
    dice = random.Random(seed)
    nodes = [Node(f"storm-{number}", server, random.Random(seed + number)) for number in range(CLIENTS)]
    stop = threading.Event()

    def run(node: Node) -> None:
        with server.client(timeout=15) as client:
            while not stop.is_set():
                node.cycle(client)

    with ThreadPoolExecutor(CLIENTS) as pool:
        futures = [pool.submit(run, node) for node in nodes]
        end = time.monotonic() + seconds
        kills = 0
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.4, 1.0))
            kills += 1
            if kills % 4 == 0:
                pair.primary.kill()
                time.sleep(0.3)
                pair.primary.start(tied=True)
            else:
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(dice.choice(server.worker_pids()), signal.SIGKILL)
        time.sleep(2)
        stop.set()
        for future in futures:
            future.result(60)
    settle(nodes, server)
    return nodes


def settle(nodes: list[Node], server: Server) -> None:
    """In peace, every node sends what is still pending."""
    with server.client() as client:
        for node in nodes:
            while node.pending:
                records = [action(node.uid, number) for number in node.pending]
                for entry in node.post(client, "action_logs", records):
                    node.acknowledged.add(entry["external_id"])
                node.pending = [number for number in node.pending if number not in node.acknowledged]


def stored(pair: Pair, kind: str, uid: str) -> Counter[Any]:
    """How often each key of a node is taken by a landing."""
    inflate = zstandard.ZstdDecompressor().decompress
    counts: Counter[Any] = Counter()
    with psycopg.connect(pair.dsn()) as connection:
        rows = connection.execute(
            "select taken, payload from collector.landing where kind = %s and uid = %s", (kind, uid)
        ).fetchall()
    for taken, payload in rows:
        document = orjson.loads(inflate(payload))
        records = document if isinstance(document, list) else document[kind]
        member = "external_id" if kind == "action_logs" else "id"
        counts.update(records[place][member] for place in (range(len(records)) if taken is None else taken))
    return counts


def check(pair: Pair, nodes: list[Node]) -> None:
    """Acknowledged = ledger = landing, each once; refused records are in quarantine once a node, counted."""
    for node in nodes:
        counts = stored(pair, "action_logs", node.uid)
        assert node.acknowledged - set(counts) == set(), "acknowledged, and not stored"
        assert {key: count for key, count in counts.items() if count > 1} == {}, "stored twice"
        assert set(counts) == node.acknowledged
        assert node.workloads <= set(stored(pair, "oswl_stats", node.uid))
        assert node.answers["added"] > 0
        with psycopg.connect(pair.dsn()) as connection:
            ((bits,),) = connection.execute(
                "select sum(bit_count(l.bits::bit(64))) from collector.ledger_bitmap as l"
                " inner join collector.node as n using (node) where n.uid = %s",
                (node.uid,),
            ).fetchall()
            ((kept, seen),) = connection.execute(
                "select count(*), sum(seen_count) from collector.quarantine where uid = %s", (node.uid,)
            ).fetchall()
            ((landed, latest),) = connection.execute(
                "select (select count(*) from collector.landing where uid = %s and kind = 'installation_structure'),"
                " (select sum(l.versions) from collector.ledger_latest as l inner join collector.node as n"
                " using (node) where n.uid = %s)",
                (node.uid, node.uid),
            ).fetchall()
        assert bits == len(counts)
        assert kept == 1
        assert seen >= node.answers["failed"]
        assert landed == latest


@pytest.mark.slow
def test_a_short_storm_of_kills_loses_and_doubles_nothing(
    own_pair: Pair, serve: Callable[..., Server]
) -> None:
    """Some seconds of SIGKILLed workers and a SIGKILLed Postgres."""
    nodes = storm(own_pair, serve, 5.0, seed=1)
    check(own_pair, nodes)


@pytest.mark.evidence
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_long_storm_of_kills_loses_and_doubles_nothing(
    own_pair: Pair, serve: Callable[..., Server], seed: int
) -> None:
    """Minutes of the same, in several runs."""
    nodes = storm(own_pair, serve, 90.0, seed=seed)
    check(own_pair, nodes)
    assert sum(node.answers["503"] + node.answers["no answer"] for node in nodes) > 10
