"""The whole way: a fleet's traffic over HTTP, the pipeline through Airflow, the published numbers against the truth.

The truth is the fleet's own knowledge of what it sent (`fuel-stat fleet truth`) and shares no code with the warehouse.
The stack is shared with other tests, so what is compared is what this fleet added.
"""

from __future__ import annotations

import hmac
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.system.sender.servers import hosting

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


@dataclass(frozen=True)
class HostedNode:
    """A node of ours: how its commands are called, and its number."""

    environ: dict[str, str]
    uid: str

    def sender(self, *arguments: str) -> str:
        """Run `fuel-stat-sender`; what it said."""
        command = [str(Path(sys.executable).parent / "fuel-stat-sender"), *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=True)
        return done.stdout


@pytest.fixture(scope="module")
def hosted_node(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> HostedNode:
    """A host behind the recording middleware, under gunicorn, was used; then its operator agreed and it sent."""
    folder = tmp_path_factory.mktemp("node")
    database = f"sqlite:///{folder}/node.sqlite"
    with hosting("gunicorn", folder, database) as host:
        host.own_tests()
    environ = {
        **{name: value for name, value in os.environ.items() if name not in ("DO_NOT_TRACK", "PYTHONPATH")},
        "FUEL_STAT_SENDER_DATABASE_URL": database,
        "FUEL_STAT_SENDER_COLLECTOR_URL": stack.ingest_url,
        "FUEL_STAT_SENDER_KEY_FILE": str(folder / "node.key"),
    }
    node = HostedNode(environ, json.loads(HostedNode(environ, "").sender("status", "--json"))["uid"])
    node.sender("consent", "on", "--include-past", "--who", "ada")
    node.sender("enrol")
    node.sender("send-now")
    return node


@pytest.fixture(scope="module")
def first_publication(stack: Stack, hosted_node: HostedNode) -> None:
    """What was sent until now is published."""
    stack.run_pipeline(timeout=500)


_FACTS = """
select action_name, http_method, http_status, is_failed, cluster_id, tier, day_source
from marts.fct_action where installation_key = %s order by external_id
"""


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_a_hosts_requests_become_published_actions_and_are_erased_on_demand(
    stack: Stack, hosted_node: HostedNode, first_publication: None
) -> None:
    """Each modifying request is one signed, published fact; erased on the node and at the collector, none is left."""
    key = uuid.UUID(
        bytes=hmac.new(bytes.fromhex(stack.secrets["PEPPER"]), hosted_node.uid.encode(), "sha256").digest()[
            :16
        ]
    )
    facts = stack.rows("analytic", _FACTS.replace("%s", f"'{key}'"), role="fuel_analytics")
    assert [(name, method, status, failed) for name, method, status, failed, *_ in facts] == [
        ("cluster_collection", "POST", 201, False),
        ("cluster_instance", "PUT", 200, False),
        ("deploy_changes", "PUT", 202, False),
        ("attributes", "PATCH", 400, True),
        ("releases_collection", "POST", 200, False),
        ("master_node_settings", "PUT", 200, False),
        ("tasks_collection", "POST", 500, True),
        ("cluster_instance", "DELETE", 204, False),
        ("other", "POST", 404, True),
    ]
    assert {tier for *_, tier, _ in facts} == {1}
    assert [cluster for *_, cluster, _, _ in facts if cluster] == [1, 1, 1, 1]

    hosted_node.sender("consent", "off")
    assert hosted_node.uid in hosted_node.sender("erase", "--yes")
    done = stack.cli("warehouse", "erase", hosted_node.uid)
    assert done.returncode == 0, done.stderr
    assert stack.rows("analytic", _FACTS.replace("%s", f"'{key}'"), role="fuel_analytics") == []
    left = "select count(*) from collector.landing where uid = '%s'"
    assert stack.rows("primary", left % hosted_node.uid) == [(0,)]


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_published_numbers_are_the_fleets_truth(stack: Stack, first_publication: None) -> None:
    """Report, summary and deployments show exactly what the fleet sent, and all stages of the way agree."""
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
