"""From a request to a host until the published fact, and until it is erased: every part is the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from fuel_stat.identity import installation_key
from tests.integration.ingest.server import running_server
from tests.system.sender.servers import hosting
from warehouse import pipeline
from warehouse.erase import erase
from warehouse.extract import run_extract

FACTS = """
select action_name, http_method, http_status, is_failed, cluster_id, tier
from marts.fct_action where installation_key = %s order by external_id
"""
ASKED = [
    ("cluster_collection", "POST", 201, False, None, 1),
    ("cluster_instance", "PUT", 200, False, 1, 1),
    ("deploy_changes", "PUT", 202, False, 1, 1),
    ("attributes", "PATCH", 400, True, 1, 1),
    ("releases_collection", "POST", 200, False, None, 1),
    ("master_node_settings", "PUT", 200, False, None, 1),
    ("tasks_collection", "POST", 500, True, None, 1),
    ("cluster_instance", "DELETE", 204, False, 1, 1),
    ("other", "POST", 404, True, None, 1),
]


def sender(environ: dict[str, str], *arguments: str) -> str:
    """Run `fuel-stat-sender`; what it said."""
    command = [str(Path(sys.executable).parent / "fuel-stat-sender"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.evidence
@pytest.mark.timeout(900)
def test_a_hosts_requests_become_published_facts_and_are_erased_on_demand(
    tmp_path, collector_pair, analytic_db, pepper
):
    """Host under the middleware, sender, collector, standby, extraction, dbt, publication; then both erasures."""
    database = f"sqlite:///{tmp_path}/node.sqlite"
    environ = {
        "PATH": os.environ["PATH"],
        "FUEL_STAT_SENDER_DATABASE_URL": database,
        "FUEL_STAT_SENDER_KEY_FILE": str(tmp_path / "node.key"),
    }
    with running_server(collector_pair.dsn("fuel_ingest"), tmp_path) as collector:
        environ["FUEL_STAT_SENDER_COLLECTOR_URL"] = collector.url
        with hosting("gunicorn", tmp_path, database) as host:
            host.own_tests()
        uid = json.loads(sender(environ, "status", "--json"))["uid"]
        sender(environ, "consent", "on", "--include-past", "--who", "ada")
        sender(environ, "enrol")
        sender(environ, "send-now")
    collector_pair.wait_replayed()
    warehouse, key = analytic_db.dsn("fuel_warehouse"), installation_key(pepper, uid)
    run_extract(collector_pair.dsn("fuel_extract", standby=True), warehouse, pepper)
    assert pipeline.run_all(pipeline.Places(warehouse, home=tmp_path)) is not None
    with psycopg.connect(analytic_db.dsn("fuel_analytics"), autocommit=True) as reader:
        assert reader.execute(FACTS, (key,)).fetchall() == ASKED

        sender(environ, "consent", "off")
        assert uid in sender(environ, "erase", "--yes")
        erase(collector_pair.dsn("fuel_admin"), warehouse, pepper, uid)
        pipeline.run_all(pipeline.Places(warehouse, home=tmp_path))
        assert reader.execute(FACTS, (key,)).fetchall() == []
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as admin:
        assert admin.execute("select count(*) from collector.landing where uid = %s", (uid,)).fetchone() == (
            0,
        )
