"""A thousand mutated requests a kind, over HTTP, each answer compared with the exact one."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.oracle import MEMBERS, Oracle
from tests.integration.ingest.samples import action, structure, task, workload

REQUESTS = 1000
STRANGE = [None, True, False, 0, -1, 1.0, 1.5, 2**31, 2**63 - 1, 2**63, "", "x", "2026-02-30", "2026-1-1", "yesterday",
    "2026-11-22\n", "17:01:40\n", "25:00:00", "17:01:40.1234567", "\u0661\u0662:00:00", "nailgun_task", "http_request",
    "vm", "volume", [], {}, [1], {"a": 1}, "Ж", "\U0001f600", "u" * 256]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        found += places(inner, (*path, name))
    return found


def mutate(value: Any, dice: random.Random) -> Any:
    """The value with one place deleted, replaced by something strange, or given a sibling."""
    value = copy.deepcopy(value)
    paths = places(value)
    if not paths:
        return dice.choice(STRANGE)
    *way, last = dice.choice(paths)
    parent = value
    for step in way:
        parent = parent[step]
    change = dice.random()
    if change < 0.3:
        del parent[last]
    elif change < 0.85:
        parent[last] = copy.deepcopy(dice.choice(STRANGE))
    elif isinstance(parent, dict):
        parent[dice.choice(["extra", "id", "status", "cluster_id"])] = copy.deepcopy(dice.choice(STRANGE))
    else:
        parent.append(copy.deepcopy(dice.choice(STRANGE)))
    return value


def record_of(kind: str, dice: random.Random) -> Any:
    """A record with a key out of few, so that keys repeat; often mutated."""
    uid, number = f"node-{dice.randrange(6)}", dice.randrange(200)
    makers: dict[str, Callable[[], Any]] = {
        "action_logs": lambda: dice.choice(
            [action(uid, number), task(uid, number, None), task(uid, number, "2026-11-23 17:01:40")]
        ),
        "oswl_stats": lambda: workload(
            uid, dice.randrange(40), dice.choice(["vm", "volume"]), resource_checksum=str(dice.randrange(3))
        ),
        "installation_structure": lambda: structure(uid, clusters_num=dice.randrange(3)),
    }
    record = makers[kind]()
    while dice.random() < 0.4:
        record = mutate(record, dice)
    return record


def request_of(kind: str, dice: random.Random) -> Any:
    """A request: nearly always the right envelope."""
    if kind == "installation_structure":
        body: Any = {kind: record_of(kind, dice)}
    else:
        body = {kind: [record_of(kind, dice) for _ in range(dice.randrange(6))]}
    if dice.random() < 0.03:
        body = dice.choice([[], None, {}, {kind: None}, {**body, "more": 1}, {"other": []}, "x", 5])
    return body


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["action_logs", "oswl_stats", "installation_structure"])
def test_answers_to_mutated_requests_are_exactly_those_of_the_oracle(collector: Collector, kind: str) -> None:
    """Status and every per-record answer are the oracle's; afterwards ledger, landing and quarantine agree with it."""
    dice = random.Random(f"mutations of {kind}")
    oracle = Oracle(kind)
    for number in range(REQUESTS):
        body = request_of(kind, dice)
        # ASCII or not, spaced or not: all ways to write the same JSON.
        text = json.dumps(
            body, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, None, 1])
        ).encode()
        answer = collector.client.post(f"/api/v1/{kind}/", content=text)
        status, records = oracle.answer(text)
        assert answer.status_code == status, (number, answer.text, text)
        if records is not None:
            member = MEMBERS[kind]
            shown = [
                (entry["master_node_uid"], entry[member], entry["status"]) for entry in answer.json()[kind]
            ]
            assert sorted(shown, key=repr) == records, (number, text)
    taken = collector.rows(
        "select coalesce(sum(coalesce(cardinality(taken), records)), 0) from collector.landing where kind = %s",
        kind,
    )
    assert taken == [(oracle.landed,)]
    kept = collector.rows(
        "select coalesce(sum(seen_count), 0) from collector.quarantine where kind = %s"
        " and reason_code <> 'broken_envelope'",
        kind,
    )
    assert kept == [(oracle.refused,)]
    assert oracle.landed > 100
    assert oracle.refused > 100
