"""Limits over HTTP: each has its exact answer, and a legacy node that meets one loses nothing."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable

import httpx
import psycopg

from tests.conftest import Pair
from tests.integration.ingest.samples import action
from tests.integration.ingest.server import Server

KILO = 1024


def test_limits_have_exact_answers_and_lose_nothing(
    collector_pair: Pair, serve: Callable[..., Server]
) -> None:
    """413 for bodies and bombs, 400 for too many records, 408 for a slow body, 429 with Retry-After for quotas.

    The limited node sends again and again; in the end each of its records is stored once.
    """
    server = serve(
        collector_pair.dsn("fuel_ingest"),
        workers=1,
        FUEL_STAT_INGEST_MAX_BODY_BYTES=str(64 * KILO),
        FUEL_STAT_INGEST_MAX_RECORDS="10",
        FUEL_STAT_INGEST_BODY_SECONDS="1",
        FUEL_STAT_INGEST_NODE_PER_HOUR="3600",
        FUEL_STAT_INGEST_NEW_NODES_PER_HOUR="3",
        FUEL_STAT_INGEST_PROXIES="127.0.0.2",
    )
    with server.client() as client:

        def post(content: bytes, **headers: str) -> tuple[int, str]:
            answer = client.post("/api/v1/action_logs/", content=content, headers=headers)
            assert answer.json()["status"] == "error"
            return answer.status_code, answer.json()["code"]

        assert post(b"x" * (64 * KILO + 1)) == (413, "body_too_large")
        bomb = gzip.compress(b"[" * 50_000_000)
        assert post(bomb, **{"content-encoding": "gzip"}) == (413, "body_too_large")
        many = b'{"action_logs":[' + b",".join([b"1"] * 11) + b"]}"
        assert post(many) == (400, "too_many_records")
        for number in range(3):
            body = {"action_logs": [action(f"node-{number}", 1)]}
            assert client.post("/api/v1/action_logs/", json=body).status_code == 200
        limited = client.post("/api/v1/action_logs/", json={"action_logs": [action("node-9", 1)]})
        assert (limited.status_code, limited.json()["code"]) == (429, "new_nodes_quota")
        assert int(limited.headers["retry-after"]) > 0
        spoofed = client.post(
            "/api/v1/action_logs/",
            json={"action_logs": [action("node-9", 1)]},
            headers={"X-Forwarded-For": "9.9.9.9"},
        )
        assert spoofed.status_code == 429
        proxy = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=server.url, transport=proxy) as proxied:
            for number, address in enumerate(("10.9.9.9, 9.9.9.9", "10.9.9.9, 8.8.8.8")):
                answer = proxied.post(
                    "/api/v1/action_logs/",
                    json={"action_logs": [action(f"behind-a-proxy-{number}", 1)]},
                    headers={"X-Forwarded-For": address},
                )
                assert answer.status_code == 200
        assert (
            client.post("/api/v1/action_logs/", json={"action_logs": [action("node-0", 2)]}).status_code
            == 200
        )
    assert slow_body(server) == 408
    with psycopg.connect(collector_pair.dsn()) as connection:
        assert connection.execute("select count(*) from collector.node").fetchone() == (5,)


def slow_body(server: Server) -> int:
    """The status for a client that sends a byte every now and then."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(b"POST /api/v1/action_logs/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        connection.settimeout(0.3)
        for _ in range(60):
            connection.sendall(b"x")
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue
            return int(answer.split()[1])
    raise AssertionError("the collector waited for ever")
