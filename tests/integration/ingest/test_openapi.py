"""The OpenAPI document is served, is valid, and is true."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psycopg
import pytest
import schemathesis
from falcon.inspect import inspect_routes
from hypothesis import HealthCheck, given, settings
from nailgun_sender.messenger.signing import Key
from schemathesis.generation import GenerationMode

from ingest_api.app import create_app
from ingest_api.settings import Settings
from tests.conftest import Pair
from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.samples import structure
from tests.integration.ingest.server import Server


def test_every_documented_address_answers(collector: Collector) -> None:
    """Each documented GET is 200 and matches its schema; each POST refuses GET with 405. Nothing is left out."""
    document = collector.client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        answer = collector.client.get(path.format(kind="action_logs", file="action_logs.1.schema.json"))
        if "post" in operations:
            assert answer.status_code == 405
            assert answer.headers["allow"]
            continue
        assert answer.status_code == 200, path
        ((kind, content),) = operations["get"]["responses"]["200"]["content"].items()
        assert answer.headers["content-type"].startswith(kind)
        if kind == "application/json":
            jsonschema.Draft202012Validator(content["schema"]).validate(answer.json())
    assert set(document["paths"]) == {path.removesuffix("/") + slash for path, slash in _routes(collector)}


def _routes(collector: Collector) -> list[tuple[str, str]]:
    """The routes of the application that runs, each with the slash that nodes put at its end."""
    app = create_app(Settings(dsn=collector.pair.dsn("fuel_ingest")))
    kinds = [f"/api/v1/{name}" for name in ("action_logs", "installation_structure", "oswl_stats")]
    slashed = {*kinds, "/api/v1/ping", "/api/v1/schemas"}
    routes = [str(route.path) for route in inspect_routes(app)]
    return [(route, "/" if route in slashed else "") for route in routes]


def raw(server: Server, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to these bytes."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


@pytest.mark.slow
def test_every_documented_refusal_is_given(
    collector_pair: Pair, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Each status that is documented for a kind is provoked, and matches its schema: no more and no less."""
    server = serve(
        collector_pair.dsn("fuel_ingest"),
        workers=1,
        FUEL_STAT_INGEST_MAX_BODY_BYTES="65536",
        FUEL_STAT_INGEST_BODY_SECONDS="0.5",
        FUEL_STAT_INGEST_STATEMENT_SECONDS="0.2",
        FUEL_STAT_INGEST_NODE_PER_HOUR="3",
        FUEL_STAT_INGEST_KEY_CACHE_SECONDS="0",
    )
    path = "/api/v1/installation_structure/"
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode()
    seen: dict[int, dict[str, Any]] = {}
    for headers in (
        b"Content-Length: 9\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Expect: 200-ok\r\n\r\n",
        b"X: " + b"y" * 50_000,
    ):
        seen.update([raw(server, start + headers)])
    seen.update([raw(server, b"POST /" + b"y" * 5000 + b" HTTP/1.1\r\n\r\n")])
    key = Key.load_or_make(tmp_path / "key.pem")
    with server.client() as client, psycopg.connect(collector_pair.dsn()) as connection:

        def post(content: bytes, **headers: str) -> httpx.Response:
            answer = client.post(path, content=content, headers=headers)
            seen[answer.status_code] = answer.json()
            assert (answer.status_code in (429, 503)) == ("retry-after" in answer.headers)
            return answer

        good = [
            json.dumps({"installation_structure": structure("o", clusters_num=n)}).encode() for n in range(4)
        ]
        post(b"{")
        post(b"x" * 70_000)
        post(good[0], **{"Content-Encoding": "br"})
        connection.execute("lock table collector.landing in access exclusive mode")
        post(good[0])
        connection.rollback()
        for content in good:
            post(content)
        assert client.post("/api/v1/enrol", json=key.enrolment("signed", None)).status_code == 201
        key.offset = -86400.0
        late = json.dumps({"installation_structure": structure("signed")}).encode()
        post(late, **key.sign("POST", f"{server.url}{path}", late))
        key.offset = 0.0
        post(late, **key.sign("POST", f"{server.url}{path}", late))
        post(late, **key.sign("POST", f"{server.url}{path}", late))
        documented = client.get("/api/v1/openapi.json").json()["paths"][path]["post"]["responses"]
    assert {str(status) for status in seen} == set(documented)
    for status, body in seen.items():
        shape = documented[str(status)]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator(shape).validate(body)


@pytest.mark.slow
def test_generated_requests_find_no_5xx_and_no_undocumented_answer(collector: Collector) -> None:
    """Schemathesis against the running collector, good and bad requests of every operation."""
    schema = schemathesis.openapi.from_url(f"{collector.server.url}/api/v1/openapi.json")
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    checked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            nonlocal checked
            response = case.call()
            assert response.status_code < 500, response.text
            documented = case.operation.definition.raw["responses"]
            assert str(response.status_code) in documented, (case.path, response.status_code)
            ((kind, content),) = documented[str(response.status_code)]["content"].items()
            assert response.headers["content-type"][0].startswith(kind)
            if kind == "application/json":
                jsonschema.Draft202012Validator(content["schema"]).validate(response.json())
            checked += 1

        run()
    assert checked > 50
