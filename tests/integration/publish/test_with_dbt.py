"""The whole way with the real dbt project: published, killed in the middle, repaired by the next run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warehouse import pipeline, publish

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "00000000-0000-0000-0000-000000000001"
CHILD = """
import sys
from pathlib import Path
from warehouse import pipeline
pipeline.run_all(pipeline.Places(sys.argv[1], home=Path(sys.argv[2])), tell=lambda line: print(line, flush=True))
"""


def load(warehouse, external_id: int) -> None:
    """One more action log of one installation."""
    load_id = warehouse.load()
    record = {
        "external_id": external_id,
        "body": {
            "action_type": "http_request",
            "action_name": "deploy",
            "action_group": "cluster_changes",
            "start_timestamp": "2026-01-01T00:00:00",
            "end_timestamp": "2026-01-01T00:00:01",
        },
    }
    warehouse.connection.execute(
        "insert into raw.action_logs values (gen_random_uuid(), 0, %s, %s, now(), 0, %s)",
        (load_id, KEY, json.dumps(record)),
    )
    warehouse.connection.execute(
        "insert into raw.contact values (%s, current_date, 0, now(), %s) on conflict do nothing",
        (KEY, load_id),
    )


# What dbt has said when it is killed; None: as soon as its process is there (it reads the project then).
MOMENTS = (
    None,
    "stg_raw__action_logs",
    "int_actions_dated",
    "dim_installation ",
    "fct_action",
    "rpt_summary",
)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_at(places: pipeline.Places, moment: str | None, victim: str) -> int:
    """Publish in a process of its own, and kill that (``task``) or its dbt at a moment; the task's exit code."""
    command = [sys.executable, "-c", CHILD, places.warehouse_dsn, str(places.folder)]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout is not None
        if moment is None:
            while not children(task.pid):
                time.sleep(0.01)
            time.sleep(1)
        else:
            assert any(moment in line for line in task.stdout), f"dbt never said {moment}"
        os.kill(task.pid if victim == "task" else children(task.pid)[0], signal.SIGKILL)
        task.stdout.read()
    return task.returncode


@pytest.mark.evidence
@pytest.mark.timeout(1800)
def test_a_kill_of_dbt_at_any_moment_leaves_the_published_numbers_and_the_next_run_repairs(
    warehouse, tmp_path
):
    """kill -9 of dbt and of the task that runs it, in every layer; readers see the first publication until the repaired
    one, and each run takes up the loads of the one that was killed before it."""
    warehouse.connection.execute(
        "drop table build.dim_thing, build.fct_thing; delete from ops.load_window; delete from ops.load"
    )
    load(warehouse, 1)
    places = pipeline.Places(warehouse.dsn, home=tmp_path)
    first = pipeline.run_all(places)
    seen = "select count(*) from marts.fct_action"
    assert warehouse.seen(seen) == (1,)
    assert (tmp_path / "dbt_docs" / "index.html").stat().st_size > 100_000
    assert publish.find(warehouse.connection, first).newest_received_at is not None

    load(warehouse, 2)
    kills = []
    for number, moment in enumerate(MOMENTS):
        victim = ("dbt", "task")[number % 2]
        code = kill_at(places, moment, victim)
        killed = publish.newest(warehouse.connection, 1)[0]
        assert code == (1 if victim == "dbt" else -signal.SIGKILL)
        # A task that lives says what happened; a killed one is declared abandoned by the next run.
        assert (killed.state, killed.error_code) == (
            ("failed", "dbt_failed") if victim == "dbt" else ("building", None)
        )
        assert warehouse.seen(seen) == (1,)
        assert publish.current(warehouse.connection).publication_id == first
        kills.append((moment or "reading the project", victim, killed.state))
    # Nobody goes on building: dbt ends with its task.
    time.sleep(2)
    busy = "select count(*) from pg_stat_activity where application_name = 'fuel-stat-dbt'"
    assert warehouse.connection.execute(busy).fetchone() == (0,)

    pipeline.run_all(places)
    assert warehouse.seen(seen) == (2,)
    counted = warehouse.connection.execute(
        "select count(*), count(distinct unique_id) from ops.dbt_result"
    ).fetchone()
    assert counted is not None
    assert counted[1] > 80
    write_evidence(kills)


def write_evidence(kills: list[tuple[str, str, str]]) -> None:
    """The page docs/evidence/kills-of-dbt.md."""
    lines = [
        "# dbt killed at any moment",
        "",
        "Written by `make evidence PYTEST=tests/integration/publish/test_with_dbt.py`. Each row: a publication whose",
        "dbt, or the task that ran it, got SIGKILL when dbt had got that far. After each, readers still saw the",
        "publication before all of them, complete; the run after the last one published everything.",
        "",
        "| killed at | who | the publication then |",
        "|---|---|---|",
        *(f"| {moment} | {victim} | {state} |" for moment, victim, state in kills),
    ]
    page = REPOSITORY / "docs" / "evidence" / "kills-of-dbt.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines) + "\n")
