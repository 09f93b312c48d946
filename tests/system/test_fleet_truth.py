"""The whole way: a fleet's traffic over HTTP, the pipeline through Airflow, the published numbers against the truth.

The truth is the fleet's own knowledge of what it sent (`fuel-stat fleet truth`) and shares no code with the warehouse.
The stack is shared with other tests, so what is compared is what this fleet added.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Stack

NODES = 25
SEED = 4711


def flat(document: Any, prefix: str = "") -> Counter[str]:
    """The numbers of a document by their path."""
    counts: Counter[str] = Counter()
    for name, value in document.items():
        if isinstance(value, dict):
            counts.update(flat(value, f"{prefix}{name}."))
        else:
            counts[prefix + name] = value
    return counts


def published(stack: Stack) -> Counter[str]:
    """What the API publishes now: report and summary; nothing before the first publication."""
    counts: Counter[str] = Counter()
    for path in ("report/installations", "summary"):
        answer = httpx.get(f"{stack.analytics_url}/api/v1/json/{path}", timeout=30, trust_env=False)
        if answer.status_code == 503:
            continue
        assert answer.status_code == 200, answer.text
        counts.update(flat(answer.json()))
    return counts


def truth(stack: Stack) -> dict[str, Any]:
    done = stack.cli("fleet", "truth")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expected(found: dict[str, Any]) -> Counter[str]:
    return flat(found["report"]) + flat(found["summary"])


def added(after: Counter[str], before: Counter[str]) -> dict[str, int]:
    """What is more in `after`; nothing may have become less."""
    changes = {name: after[name] - before[name] for name in after | before}
    return {name: change for name, change in changes.items() if change}


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_published_numbers_are_the_fleets_truth(stack: Stack) -> None:
    """Report, summary and deployments show exactly what the fleet sent, and all stages of the way agree."""
    stack.run_pipeline(timeout=500)
    before, knew = published(stack), truth(stack)
    done = stack.cli("fleet", "run", "--nodes", str(NODES), "--seed", str(SEED))
    assert done.returncode == 0, done.stderr
    stack.run_pipeline(timeout=500)
    knows = truth(stack)
    assert added(published(stack), before) == added(expected(knows), expected(knew))
    assert knows["summary"]["action_logs"]["total"] - knew["summary"]["action_logs"]["total"] > 1000

    counted = dict(
        stack.rows(
            "analytic",
            "select ended_with_status, count(*)::int from marts.fct_deployment group by 1",
            role="fuel_analytics",
        )
    )
    assert {name: counted.get(name, 0) >= count for name, count in knows["deployments"].items()} == {
        "ready": True,
        "error": True,
    }

    agreed = stack.cli("reconcile")
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(300)
def test_sending_again_changes_nothing(stack: Stack) -> None:
    """The same fleet sent twice: everything existed, and the way still agrees with the sender's tally."""
    stack.cli("fleet", "run", "--nodes", "3", "--seed", "815", "--modern", "0")
    once = truth(stack)["tally"]["kinds"]["action_logs"]
    done = stack.cli("fleet", "run", "--nodes", "3", "--seed", "815", "--modern", "0")
    assert done.returncode == 0, done.stderr
    twice = truth(stack)["tally"]["kinds"]["action_logs"]
    assert (twice["sent"], twice["added"]) == (once["sent"], once["added"])
    assert twice["answers"]["existed"] > once["answers"].get("existed", 0)
