"""An engineer at the Airflow page, and the DAGs end to end on a real stack."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

if TYPE_CHECKING:
    from tests.system.conftest import Stack

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE_MS = 60_000
pytestmark = [pytest.mark.slow, pytest.mark.airflow]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in a headless Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium: set CHROMIUM, or run scripts/browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


def sign_in(page: Page, stack: Stack) -> None:
    """Through the form that the stack's own address leads to."""
    user, password = stack.airflow_login
    page.goto(f"{stack.airflow_url}/")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "login" not in url)


def manual_runs(stack: Stack, chunk: int) -> list[dict[str, Any]]:
    """Runs of extract_load that were triggered with this chunk size."""
    runs = stack.airflow("GET", "dags/extract_load/dagRuns", params={"limit": 20, "order_by": "-run_after"})
    return [run for run in runs["dag_runs"] if (run.get("conf") or {}).get("chunk_landings") == chunk]


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_an_engineer_triggers_the_extraction_with_a_parameter_and_sees_it_succeed(
    stack: Stack, page: Page
) -> None:
    """Log in, open the DAG, read what to do when it fails, fill the form, trigger, and watch the run turn green."""
    chunk = 1000 + int(time.time()) % 9000
    assert stack.cli("fleet", "run", "--nodes", "2", "--seed", str(chunk)).returncode == 0
    stack.airflow("PATCH", "dags/extract_load", json={"is_paused": False})
    sign_in(page, stack)
    page.goto(f"{stack.airflow_url}/dags/extract_load")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Landed requests a transaction")).to_be_visible()
    field = dialog.locator("input[name=element_chunk_landings]")
    field.fill(str(chunk))
    field.press("Tab")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        dialog.get_by_role("button", name="Trigger", exact=True).click()
    assert answered.value.ok, answered.value.text()
    stack.wait_until(lambda: bool(manual_runs(stack, chunk)), answered.value.text(), 30)
    stack.wait_until(
        lambda: manual_runs(stack, chunk)[0]["state"] in ("success", "failed"), "the end of the run", 240
    )
    (run,) = manual_runs(stack, chunk)
    assert run["state"] == "success"
    page.goto(f"{stack.airflow_url}/dags/extract_load/runs/{run['dag_run_id']}")
    expect(page.get_by_text("Success", exact=True).filter(visible=True).first).to_be_visible()


@pytest.mark.timeout(600)
def test_partitions_backups_and_sources_run_through_airflow(stack: Stack) -> None:
    """The DAGs that look after what is there: the copy boots and agrees, the runway is long enough, nodes are heard."""
    upkeep = (("maintain_partitions",), ("watch_sources",), ("backup_collector", "--conf", '{"drill": true}'))
    for arguments in upkeep:
        done = stack.cli("pipeline", "run", "--wait", "--dag", *arguments, timeout=280)
        assert done.returncode == 0, done.stderr
    ((state, passed),) = stack.rows(
        "analytic", "select state, drill_passed from ops.backup order by started_at desc limit 1"
    )
    assert (state, passed) == ("verified", True)
    assert stack.status["partitions"]["runway_days"] > 60
    assert stack.status["backup"]["last"]
    assert "verified" in stack.cli("backups", "list").stdout


def published(stack: Stack) -> tuple[Any, ...]:
    """Number, rows of a fact, and how the last attempt ended, as a reader sees them."""
    query = (
        "select s.publication_id, (select count(*) from marts.fct_action), s.last_state"
        " from ops.publication_status as s"
    )
    (row,) = stack.rows("analytic", query, role="fuel_analytics")
    return row


def failed_task(stack: Stack) -> tuple[str, str]:
    """The task at which the newest build failed in Airflow, and its log."""
    runs = stack.airflow("GET", "dags/build_marts/dagRuns", params={"limit": 20, "order_by": "-run_after"})
    run = next(run for run in runs["dag_runs"] if run["state"] == "failed")
    path = f"dags/build_marts/dagRuns/{run['dag_run_id']}/taskInstances"
    tasks = {task["task_id"]: task for task in stack.airflow("GET", path)["task_instances"]}
    assert tasks["publication.publish"]["state"] == "upstream_failed"
    (failed,) = [name for name, task in tasks.items() if task["state"] == "failed"]
    log = stack.airflow("GET", f"{path}/{failed}/logs/{tasks[failed]['try_number']}")
    return failed, str(log["content"])


@pytest.mark.browser
@pytest.mark.timeout(900)
def test_a_failed_audit_keeps_the_numbers_and_says_why_and_a_backfill_repairs(
    stack: Stack, page: Page
) -> None:
    """A record vanishes from raw: the build is refused in Airflow, the API and the page with the record's name, readers
    keep what they have, whom it concerns is told; a backfill of the day brings it back and publishes."""
    assert stack.cli("fleet", "run", "--nodes", "3", "--seed", "77").returncode == 0
    stack.run_pipeline(timeout=600)
    version, rows, _ = published(stack)
    ((lost, day),) = stack.rows(
        "analytic",
        "delete from raw.action_logs where ctid = (select max(ctid) from raw.action_logs)"
        " returning landing_id::text || '/' || position, (received_at at time zone 'UTC')::date::text",
    )
    refused = stack.cli(
        "pipeline", "run", "--wait", "--dag", "build_marts", "--conf", '{"force": true}', timeout=600
    )
    assert refused.returncode == 1
    assert "publication.audit_marts" in refused.stderr

    assert published(stack) == (version, rows, "failed")
    task, log = failed_task(stack)
    assert task == "publication.audit_marts"
    assert "integrity_equation" in log
    status = httpx.get(f"{stack.analytics_url}/api/v1/status", trust_env=False, timeout=30).json()
    assert (status["status"], status["publication"]["id"]) == ("audit_failed", version)
    assert f"{lost} is missing in raw" in status["audit"]["reason"]
    docs = httpx.get(f"{stack.analytics_url}/data-docs/", trust_env=False, timeout=30)
    assert 'href="marts/index.html"' in docs.text
    assert 'href="raw/index.html"' in docs.text
    page.goto(f"{stack.analytics_url}/")
    expect(page.get_by_text(lost).filter(visible=True).first).to_be_visible()
    told = stack.rows("analytic", "select dag, task, code from ops.pipeline_failure order by 1, 2, 3")
    assert ("build_marts", "publication.audit_marts", "audit_failed") in told
    assert 'code="audit_failed"' in (stack.home / "metrics" / "pipeline.prom").read_text()
    assert stack.cli("reconcile").returncode == 1

    conf = f'{{"first_day": "{day}", "last_day": "{day}"}}'
    done = stack.cli("pipeline", "run", "--wait", "--dag", "backfill", "--conf", conf, timeout=600)
    assert done.returncode == 0, done.stderr
    after, rows_after, state = published(stack)
    assert after > version
    assert (rows_after, state) == (rows, "published")
    assert stack.cli("reconcile").returncode == 0
