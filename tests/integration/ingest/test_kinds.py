"""A new kind of statistics is a folder; the schemas in force are served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg

from ingest_api.kinds import SHIPPED
from tests.conftest import Pair
from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.server import Server


def declare_crash_reports(folder: Path) -> None:
    """A kind that nobody thought of: crash reports, every differing version of (node, id, program) kept."""
    kind = folder / "crash_reports"
    kind.mkdir(parents=True)
    (kind / "kind.json").write_text(
        json.dumps(
            {"kind": "crash_reports", "version": 3, "ledger": "version", "id": "number", "subtype": "program"}
        )
    )
    properties = {
        "master_node_uid": {"type": "string", "minLength": 1, "maxLength": 255},
        "number": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "program": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    (kind / "crash_reports.3.schema.json").write_text(json.dumps(schema))


def test_a_new_kind_needs_only_its_folder(
    collector_pair: Pair, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """With the folder configured the collector takes, answers, quarantines and lands the kind; its schema is served."""
    declare_crash_reports(tmp_path / "kinds")
    server = serve(
        collector_pair.dsn("fuel_ingest"), workers=1, FUEL_STAT_INGEST_KINDS=str(tmp_path / "kinds")
    )
    report = {"master_node_uid": "n", "number": 1, "program": "astute"}
    with server.client() as client:

        def post(*records: object) -> list[str]:
            answer = client.post("/api/v1/crash_reports/", json={"crash_reports": records})
            return [entry["status"] for entry in answer.json()["crash_reports"]]

        assert post(report, {**report, "number": -1}) == ["added", "failed"]
        assert post({**report, "signal": 11}) == ["updated"]
        assert client.get("/api/v1/crash_reports/").status_code == 405
        assert client.get("/api/v1/schemas/crash_reports/crash_reports.3.schema.json").status_code == 200
        assert client.post("/api/v1/action_logs/", json={"action_logs": []}).status_code == 200
    with psycopg.connect(collector_pair.dsn()) as connection:
        landed = connection.execute("select kind, schema_version from collector.landing").fetchall()
    assert landed == [("crash_reports", 3)] * 2


def test_schemas_and_examples_are_served_as_they_are(collector: Collector) -> None:
    """The index lists every file, each file is served byte by byte, and nothing else is."""
    index = collector.client.get("/api/v1/schemas/").json()
    assert set(index["kinds"]) == {"action_logs", "installation_structure", "oswl_stats"}
    for name, kind in index["kinds"].items():
        assert len(kind["files"]) == len(list((SHIPPED / name).glob("*.json")))
        for address in kind["files"]:
            served = collector.client.get(address)
            assert served.content == (SHIPPED / name / address.rsplit("/", 1)[1]).read_bytes()
    for wrong in ("action_logs/nothing.json", "action_logs/..%2Fkinds.py", "other/kind.json"):
        assert collector.client.get(f"/api/v1/schemas/{wrong}").status_code == 404


def test_every_example_is_answered_as_its_name_says(collector: Collector) -> None:
    """Over HTTP: passing examples are 200 or 201, failing ones 400 with every record failed."""
    for name in ("action_logs", "installation_structure", "oswl_stats"):
        for path in sorted((SHIPPED / name).glob("*.pass.json")):
            answer = collector.client.post(f"/api/v1/{name}/", content=path.read_bytes())
            assert answer.status_code in (200, 201), path.name
        for path in sorted((SHIPPED / name).glob("*.fail.json")):
            answer = collector.client.post(f"/api/v1/{name}/", content=path.read_bytes())
            assert answer.status_code == 400, path.name
            assert {entry["status"] for entry in answer.json().get(name, [])} <= {"failed"}


def test_wrong_methods_and_addresses_are_json_too(collector: Collector) -> None:
    """405 names the methods allowed, 404 is JSON, HEAD of ping is 200 without a body."""
    for kind in ("action_logs", "installation_structure", "oswl_stats"):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            answer = collector.client.request(method, f"/api/v1/{kind}/")
            assert answer.status_code == 405
            assert "POST" in answer.headers["allow"]
            assert answer.json()["status"] == "error"
    assert collector.client.post("/api/v1/ping/").status_code == 405
    assert collector.client.head("/api/v1/ping").status_code == 200
    assert collector.client.get("/api/v1/ping/").json()["status"] == "ok"
    nothing = collector.client.post("/api/v1/nothing/", content=b"x")
    assert (nothing.status_code, nothing.json()["status"]) == (404, "error")
