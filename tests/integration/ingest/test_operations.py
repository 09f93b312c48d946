"""Health, metrics, logs, graceful stop, a database that is late, short, or restarted."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from fuel_stat.metrics import Registry, UndeclaredMetricError
from ingest_api.kinds import SHIPPED, load_kinds
from ingest_api.metrics import DECLARATIONS
from ingest_api.store import Store
from tests.conftest import Pair
from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.samples import action
from tests.integration.ingest.server import Server


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_health_version_and_readiness(collector: Collector) -> None:
    """/healthz looks at nothing, /version says what runs, /readyz commits and names each check."""
    assert collector.client.get("/healthz").json() == {"status": "ok"}
    version = collector.client.get("/version").json()
    assert version["service"] == "ingest"
    assert version["version"]
    before = collector.rows("select pg_current_wal_lsn()::text")
    ready = collector.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert {name: check["ok"] for name, check in ready.json()["checks"].items()} == {
        "database": True,
        "partitions": True,
        "disk": True,
    }
    assert collector.rows("select pg_current_wal_lsn()::text") != before


def test_readiness_fails_when_the_runway_or_the_disk_is_short(
    collector_pair: Pair, serve: Callable[..., Server]
) -> None:
    """503 with Retry-After and the checks that fail; ingestion itself goes on."""
    server = serve(
        collector_pair.dsn("fuel_ingest"),
        workers=1,
        FUEL_STAT_INGEST_MIN_RUNWAY_DAYS="4000",
        FUEL_STAT_INGEST_MIN_FREE_BYTES=str(2**62),
    )
    with server.client() as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.headers["retry-after"]
        assert ready.json()["message"] == "Not ready: partitions, disk."
        assert client.post("/api/v1/action_logs/", json={"action_logs": [action("x", 1)]}).status_code == 200


def test_no_partition_is_a_503_and_loses_nothing(collector_pair: Pair, serve: Callable[..., Server]) -> None:
    """Without a partition for today the node is told to come back; when it is there, the same request is added."""
    server = serve(collector_pair.dsn("fuel_ingest"), workers=1)
    with (
        psycopg.connect(collector_pair.dsn("fuel_admin"), autocommit=True) as connection,
        server.client() as client,
    ):
        (name,) = connection.execute(
            "select 'landing_' || to_char(now() at time zone 'UTC', 'YYYYMM')"
        ).fetchone() or ("",)
        connection.execute(f"alter table collector.landing detach partition collector.{name}")
        body = {"action_logs": [action("x", 1)]}
        refused = client.post("/api/v1/action_logs/", json=body)
        assert (refused.status_code, refused.json()["status"]) == (503, "error")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/readyz").json()["checks"]["partitions"]["ok"] is False
        connection.execute(f"drop table collector.{name}")
        connection.execute("select collector.ensure_partitions(current_date, current_date)")
        added = client.post("/api/v1/action_logs/", json=body).json()
        assert added["action_logs"][0]["status"] == "added"


def test_metrics_are_declared_and_summed_over_workers(collector: Collector) -> None:
    """Counts appear in /metrics whichever worker is asked; a metric that nobody declared cannot be used."""
    for number in range(12):
        with collector.server.client() as client:
            client.post("/api/v1/action_logs/", json={"action_logs": [action("metrics", number)]})
    seen = set()
    for _ in range(6):
        with collector.server.client() as client:
            text = client.get("/metrics").text
        for line in text.splitlines():
            if line.startswith("ingest_records_total") and 'status="added"' in line and "action_logs" in line:
                seen.add(float(line.rsplit(" ", 1)[1]))
    assert len(seen) == 1
    assert seen.pop() >= 12
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert families <= {metric.name for metric in DECLARATIONS}
    assert len(families) >= 4
    with pytest.raises(UndeclaredMetricError):
        Registry(DECLARATIONS)["ingest_unheard_of_total"]


def test_every_request_is_a_line_of_json_without_payload(collector: Collector) -> None:
    """The line has the id that the answer carries (the client's own where it is plain), and nothing of the body."""
    answer = collector.client.post(
        "/api/v1/action_logs/",
        json={"action_logs": [action("logged-uid", 1, note="a-secret-note")]},
        headers={"X-Request-Id": "my-request-0001"},
    )
    assert answer.headers["x-request-id"] == "my-request-0001"
    forged = collector.client.get("/healthz", headers={"X-Request-Id": 'a" b'})
    assert forged.headers["x-request-id"] != 'a" b'
    text = collector.server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "my-request-0001"]
    assert (line["status"], line["path"], line["records"]) == (200, "/api/v1/action_logs", {"added": 1})
    assert "a-secret-note" not in text
    assert "logged-uid" not in text
    assert any(line["event"] == "starting" and line["dsn"] == "***" for line in lines)


@pytest.mark.slow
def test_the_collector_starts_before_its_database(own_pair: Pair, serve: Callable[..., Server]) -> None:
    """With the database down it starts, says so, answers 503; when the database comes, it works without a restart."""
    own_pair.primary.stop("fast")
    server = serve(own_pair.dsn("fuel_ingest"))
    body = {"action_logs": [action("early", 1)]}
    with server.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["checks"]["database"]["ok"] is False
        refused = client.post("/api/v1/action_logs/", json=body)
        assert (refused.status_code, refused.json()["status"]) == (503, "error")
        assert "retry-after" in refused.headers
        assert "database_unreachable" in server.log.read_text()
        own_pair.primary.start(tied=True)
        wait_for(lambda: client.post("/api/v1/action_logs/", json=body).status_code == 200)
        assert client.get("/readyz").status_code == 200


@pytest.mark.slow
def test_a_database_restart_under_load_is_503_and_passes(
    own_pair: Pair, serve: Callable[..., Server]
) -> None:
    """During a restart every answer is 200 or a JSON 503 with Retry-After; afterwards it recovers by itself."""
    server = serve(own_pair.dsn("fuel_ingest"))
    stop = threading.Event()
    seen: list[tuple[int, str]] = []
    acknowledged: set[int] = set()

    def load(number: int) -> None:
        with server.client() as client:
            while not stop.is_set():
                number += 8
                answer = client.post("/api/v1/action_logs/", json={"action_logs": [action("load", number)]})
                seen.append((answer.status_code, answer.json()["status"]))
                if answer.status_code == 200:
                    acknowledged.add(number)
                else:
                    assert "retry-after" in answer.headers
                    time.sleep(0.05)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(load, number) for number in range(8)]
        try:
            time.sleep(0.5)
            for _ in range(2):
                own_pair.primary.stop("fast")
                time.sleep(0.5)
                own_pair.primary.start(tied=True)
                count = len(acknowledged)
                wait_for(lambda count=count: len(acknowledged) > count + 20)  # type: ignore[misc]
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert set(seen) == {(200, "ok"), (503, "error")}
    with psycopg.connect(own_pair.dsn()) as connection:
        statement = "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
        (bits,) = connection.execute(statement).fetchone() or (0,)
    assert bits == len(acknowledged)


def test_a_graceful_stop_finishes_what_is_in_flight(
    collector_pair: Pair, serve: Callable[..., Server]
) -> None:
    """A request that waits for a lock when SIGTERM comes is answered 200 before the process ends with 0."""
    server = serve(collector_pair.dsn("fuel_ingest"), workers=1)
    with psycopg.connect(collector_pair.dsn("postgres")) as connection, ThreadPoolExecutor(1) as pool:
        connection.execute("lock table collector.ledger_bitmap in access exclusive mode")
        body = {"action_logs": [action("stop", 1)]}
        waiting = pool.submit(httpx.post, f"{server.url}/api/v1/action_logs/", json=body, timeout=20)
        wait_for(lambda: _waiting(collector_pair))
        server.process.terminate()
        time.sleep(0.5)
        assert not waiting.done()
        connection.rollback()
        answer = waiting.result(20)
        assert answer.json()["action_logs"][0]["status"] == "added"
        assert server.process.wait(20) == 0


def _waiting(pair: Pair) -> bool:
    with psycopg.connect(pair.dsn("postgres")) as connection:
        statement = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = %s"
        (count,) = connection.execute(statement, (pair.database,)).fetchone() or (0,)
    return bool(count)


def test_a_worker_that_dies_is_replaced(collector: Collector) -> None:
    """After a SIGKILL of every worker the collector answers again."""
    before = collector.server.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: bool(set(collector.server.worker_pids()) - set(before)))

    def answers() -> bool:
        try:
            return httpx.get(f"{collector.server.url}/api/v1/ping/").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers)


def test_prepared_statements_that_are_gone_are_made_again(collector_pair: Pair) -> None:
    """A rollback on the same connection, or a server that has forgotten them, does not end a thread's service."""
    store, kind = Store(collector_pair.dsn("fuel_ingest")), load_kinds([SHIPPED])["installation_structure"]
    assert store.unchanged(kind, "nobody", bytes(32), 0) is False

    def roll_back(connection: psycopg.Connection[Any]) -> None:
        with connection.transaction(force_rollback=True):
            connection.execute("select 1")
        connection.execute("select 2")

    store.run(roll_back)
    assert store.unchanged(kind, "nobody", bytes(32), 0) is False
    store.run(lambda connection: connection.execute("deallocate all"))
    assert store.unchanged(kind, "nobody", bytes(32), 0) is False
    store.close()
