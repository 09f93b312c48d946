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


@pytest.mark.evidence
@pytest.mark.timeout(900)
def test_a_kill_of_dbt_leaves_the_published_numbers_and_the_next_run_repairs(warehouse, tmp_path):
    """kill -9 of the task while dbt builds the marts; readers see the first publication until the repaired one."""
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
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, warehouse.dsn, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "fct_action" in line and "OK" in line:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert warehouse.seen(seen) == (1,)
    time.sleep(2)

    assert pipeline.begin(places) is not None  # its load is new again
    pipeline.run_all(places)
    assert warehouse.seen(seen) == (2,)
    counted = warehouse.connection.execute(
        "select count(*), count(distinct unique_id) from ops.dbt_result"
    ).fetchone()
    assert counted is not None
    assert counted[1] > 80
