"""Exports as tasks: ordered over HTTP, made by a real worker, fetched as files."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from fuel_stat.postgres import Cluster, ensure_database
from tests.conftest import AnalyticDb, drop_database
from tests.integration.analytics.server import (
    Local,
    Server,
    environment,
    fetch,
    in_process,
    running,
    running_worker,
)

PERIOD = {"from_date": "2026-03-01", "to_date": "2026-03-31"}
QUICK = {"FUEL_STAT_ANALYTICS_UPKEEP_SECONDS": "1", "FUEL_STAT_ANALYTICS_STALLED_SECONDS": "3"}

pytestmark = pytest.mark.slow


@pytest.fixture
def queue_dsn(analytic_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A queue database of the test's own."""
    name = f"reports_{abs(hash(request.node.name)) % 10**8}"
    ensure_database(analytic_cluster.dsn("postgres"), name, "fuel_reports")
    yield analytic_cluster.dsn(name, "fuel_reports")
    drop_database(analytic_cluster, name)


def order(server: Server, **body: Any) -> httpx.Response:
    """Order a report."""
    return httpx.post(f"{server.url}/api/v1/reports", json=body, timeout=90)


def local_order(server: Local, **body: Any) -> httpx.Response:
    """Order a report inside the process."""
    return server.client.post("/api/v1/reports", json=body)


def wait(server: Server, url: str, *states: str, seconds: float = 120) -> dict[str, Any]:
    """Follow a task until it is in one of these states."""
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = fetch(server.url + url).json()
        if found["state"] in states:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_report_is_ordered_made_and_fetched(
    sample_db: AnalyticDb, queue_dsn: str, pepper: bytes, folder: Path
) -> None:
    """202 with the task's address; the file equals the direct export; old files are deleted after their time."""
    environ = environment(sample_db.dsn("fuel_analytics"), queue_dsn, pepper, folder, **QUICK)
    with running(environ, folder) as server:
        ordered = order(server, report="vm", **PERIOD)
        assert ordered.status_code == 202
        task = ordered.json()
        assert ordered.headers["location"] == task["status_url"]
        early = fetch(f"{server.url}{task['status_url']}/file")
        assert (early.status_code, early.json()["code"]) == (409, "report_not_ready")
        with running_worker(environ, folder):
            done = wait(server, task["status_url"], "done")
            archive = order(server, report="all", **PERIOD).json()
            assert wait(server, archive["status_url"], "done")["bytes"] > 0
            file = fetch(server.url + done["file_url"])
            assert file.content == server.get("csv/vm", params=PERIOD).content
            assert done["sha256"] == hashlib.sha256(file.content).hexdigest()
            assert done["publication_id"] == 1
            assert file.headers["content-disposition"] == 'attachment; filename="vm.csv"'
            assert [task["report"] for task in server.get("reports").json()["reports"]] == ["all", "vm"]
            with psycopg.connect(queue_dsn) as connection:
                connection.execute(
                    "update report set finished_at = finished_at - interval '8 days' where name = 'vm'"
                )
            wait(server, task["status_url"], "expired")
        gone = fetch(f"{server.url}{task['status_url']}/file")
        assert (gone.status_code, gone.json()["code"]) == (410, "report_expired")
        assert len(list((folder / "reports").iterdir())) == 1


def test_killed_worker_loses_no_report(
    own_sample_db: AnalyticDb, queue_dsn: str, pepper: bytes, folder: Path
) -> None:
    """A report whose worker was killed is taken up by the next one; nothing half-written is left."""
    environ = environment(own_sample_db.dsn("fuel_analytics"), queue_dsn, pepper, folder, **QUICK)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(environ, folder))
        blocker = stack.enter_context(psycopg.connect(own_sample_db.dsn()))
        blocker.execute("lock table pub.fct_workload_resource in access exclusive mode")
        task = order(server, report="vm", **PERIOD).json()
        with running_worker(environ, folder) as worker:
            wait(server, task["status_url"], "running")
            worker.kill()
            worker.wait()
        blocker.rollback()
        with running_worker(environ, folder):
            done = wait(server, task["status_url"], "done")
            assert done["attempts"] == 2
            time.sleep(1.5)
        assert [path.suffix for path in (folder / "reports").iterdir()] == [".report"]


def test_wrong_orders_and_full_queues_are_refused(
    sample_db: AnalyticDb, queue_dsn: str, pepper: bytes, folder: Path
) -> None:
    """An order names what is wrong with it; a full queue says to come back later."""
    environ = environment(
        sample_db.dsn("fuel_analytics"), queue_dsn, pepper, folder, FUEL_STAT_ANALYTICS_REPORT_QUEUE="1"
    )
    with in_process(environ) as server:
        for body, code in (
            ({"report": "secrets"}, "unknown_export"),
            ({"report": 5}, "bad_order"),
            ({"report": "vm", "from_date": "x"}, "bad_date"),
            ({"report": "vm", "from_date": 20160101}, "bad_date"),
        ):
            refused = local_order(server, **body)
            assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert local_order(server, report="vm").status_code == 202
        full = local_order(server, report="vm")
        assert (full.status_code, full.json()["code"]) == (429, "report_queue_full")
        unknown = server.get("reports/00000000-0000-4000-8000-000000000000")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_report")


def test_report_that_cannot_be_made_says_why(
    own_sample_db: AnalyticDb, queue_dsn: str, pepper: bytes, folder: Path
) -> None:
    """A failing report waits for further attempts with its reason shown, and succeeds when the cause is gone."""
    with psycopg.connect(own_sample_db.dsn(), autocommit=True) as connection:
        connection.execute("alter view marts.fct_workload_resource rename to away")
        environ = environment(own_sample_db.dsn("fuel_analytics"), queue_dsn, pepper, folder, **QUICK)
        with running(environ, folder) as server, running_worker(environ, folder):
            task = order(server, report="vm", **PERIOD).json()
            deadline = time.monotonic() + 120
            while (found := fetch(server.url + task["status_url"]).json())["error_code"] is None:
                assert time.monotonic() < deadline, found
                time.sleep(0.1)
            assert found["error_code"] == "nothing_published"
            connection.execute("alter view marts.away rename to fct_workload_resource")
            assert wait(server, task["status_url"], "done")["error"] is None


def test_queue_that_is_away_or_not_configured_is_told(
    sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """Everything else keeps answering."""
    for dsn, code in (("", "reports_disabled"), ("postgresql://x@127.0.0.1:1/none", "reports_unavailable")):
        environ = environment(sample_db.dsn("fuel_analytics"), dsn, pepper, folder)
        with in_process(environ) as server:
            refused = local_order(server, report="vm")
            assert (refused.status_code, refused.json()["code"]) == (503, code)
            assert server.get("json/summary").status_code == 200
