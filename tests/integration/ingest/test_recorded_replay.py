"""The traffic recorded from a real Nailgun, replayed against the collector."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import Pair
from tests.integration.ingest.server import Server


def exchanges(recorded: Path) -> list[tuple[str, dict[str, Any]]]:
    """The recorded requests and answers, in order."""
    return [
        (path.name, json.loads(path.read_text())) for path in sorted((recorded / "nailgun").glob("*.json"))
    ]


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """An answer without its time, per-record answers in the order of their keys."""
    kept = {name: value for name, value in body.items() if name != "exec_time"}
    for name, value in kept.items():
        if isinstance(value, list):
            kept[name] = sorted(value, key=lambda entry: json.dumps(entry, sort_keys=True))
    return kept


@pytest.mark.parametrize("slash", [True, False])
def test_every_answer_equals_the_recorded_one_but_for_what_is_mended(
    recorded: Path, collector_pair: Pair, serve: Callable[..., Server], slash: bool
) -> None:
    """Statuses and per-record answers are those of the original, with and without the trailing slash.

    Mended: the structure with a node whose os is null was 400 and is now taken (201); so the next is an update.
    """
    server = serve(collector_pair.dsn("fuel_ingest"))
    bodies = [exchange["request"]["body"] for name, exchange in exchanges(recorded) if "structure" in name]
    versions = sum(body != before for before, body in itertools.pairwise(["", *bodies]))
    with server.client() as client:
        for name, exchange in exchanges(recorded):
            request, wanted = exchange["request"], exchange["response"]
            path = request["path"] if slash else request["path"].rstrip("/")
            headers = [
                (key, value)
                for key, value in request["headers"]
                if key.lower() not in ("host", "content-length")
            ]
            body = (request["body"] or "").encode()
            answer = client.request(request["method"], path, headers=headers, content=body)
            status, expected = wanted["status"], comparable(json.loads(wanted["body"]))
            if name.startswith("004-"):
                status, expected = 201, {"status": "ok"}
            elif name.startswith("008-"):
                status = 200
            assert answer.status_code == status, (name, answer.text[:500])
            assert answer.headers["content-type"] == "application/json"
            assert isinstance(answer.json()["exec_time"], float)
            assert comparable(answer.json()) == expected, name
    with psycopg.connect(collector_pair.dsn()) as connection:
        taken = connection.execute(
            "select kind, sum(coalesce(cardinality(taken), records)) from collector.landing group by 1"
        ).fetchall()
        assert dict(taken) == {"action_logs": 235, "oswl_stats": 21, "installation_structure": versions}
        ledger = connection.execute(
            "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
        ).fetchone()
        assert ledger == (235,)
        assert connection.execute("select count(*) from collector.quarantine").fetchone() == (0,)
        assert connection.execute("select count(*) from collector.contact").fetchone() == (1,)
