"""The DAGs as Airflow sees them: exactly these, each with what an operator needs, and no work while they are parsed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from warehouse import dbt_runner

REPOSITORY = Path(__file__).resolve().parents[3]
DAGS = {
    "extract_load", "build_marts", "backfill", "backup_collector", "maintain_partitions", "watch_nodes",
    "watch_sources",
}  # fmt: skip
# In a process of its own: Airflow changes logging, warnings and the environment of whoever imports it.
LOADER = """
import json, socket, subprocess, sys
def refuse(*_, **__):
    raise AssertionError("a DAG file opened a connection or a process while it was parsed")
import airflow
from airflow.dag_processing.dagbag import DagBag
socket.socket.connect = refuse
import psycopg
psycopg.connect = refuse
psycopg.Connection.connect = refuse
heavy_before = {name for name in ("great_expectations", "dbt") if name in sys.modules}
bag = DagBag(sys.argv[1])
def task(t):
    return {
        "owner": t.owner, "retries": t.retries, "retry_delay": t.retry_delay.total_seconds(),
        "timeout": t.execution_timeout.total_seconds() if t.execution_timeout else None, "pool": t.pool,
        "callback": bool(t.on_failure_callback), "upstream": sorted(t.upstream_task_ids),
        "inlets": [a.name for a in t.inlets], "outlets": [a.name for a in t.outlets],
        "doc": bool(t.doc or t.doc_md or t.__doc__),
    }
print("@@" + json.dumps({
    "errors": bag.import_errors,
    "heavy": sorted({n for n in ("great_expectations", "dbt") if n in sys.modules} - heavy_before),
    "dags": {d.dag_id: {
        "doc": d.doc_md, "tags": sorted(d.tags), "catchup": d.catchup, "runs": d.max_active_runs,
        "timeout": d.dagrun_timeout.total_seconds() if d.dagrun_timeout else None,
        "timetable": type(d.timetable).__name__, "params": {k: d.params.get_param(k).schema for k in d.params},
        "groups": sorted(k for k in d.task_group_dict if k),
        "tasks": {t.task_id: task(t) for t in d.tasks},
    } for d in bag.dags.values()},
}, default=str))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that Airflow's own loader makes of the folder."""
    home = tmp_path_factory.mktemp("airflow")
    quiet = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(REPOSITORY),
    }
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "FUEL_STAT"))
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(REPOSITORY / "dags")],
        cwd=home,
        env=kept | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [line[2:] for line in done.stdout.splitlines() if line.startswith("@@")]
    assert answers, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(answers[0])
    return found


def test_exactly_these_dags_load_without_an_error(bag):
    """No file fails, none is missing, none is there that nobody knows of."""
    assert bag["errors"] == {}
    assert set(bag["dags"]) == DAGS


def test_parsing_loads_neither_dbt_nor_great_expectations(bag):
    """The processor parses all files every minute: what takes seconds to import is imported by the task."""
    assert bag["heavy"] == []


@pytest.mark.parametrize("dag_id", sorted(DAGS))
def test_every_dag_keeps_the_policy(bag, dag_id):
    """Owner, tags, one run at a time, no catch-up, timeouts, retries, a callback, and a page that helps at 3 a.m."""
    dag = bag["dags"][dag_id]
    for heading in ("**Schedule.**", "**Safe to run again?**", "**When it fails**"):
        assert heading in dag["doc"]
    assert "fuel-stat" in dag["tags"]
    assert dag["catchup"] is False
    assert dag["runs"] == 1
    assert dag["timeout"]
    for name, task in dag["tasks"].items():
        assert task["owner"] == "fuel-stat", name
        assert 1 <= task["retries"] <= 5, name
        assert task["retry_delay"] > 0, name
        assert task["timeout"], name
        assert task["callback"], name


@pytest.mark.parametrize("dag_id", sorted(DAGS))
def test_every_parameter_is_a_field_of_a_form(bag, dag_id):
    """A type and a title each: the page makes a form of them."""
    assert bag["dags"][dag_id]["params"]
    for name, schema in bag["dags"][dag_id]["params"].items():
        assert schema.get("type"), name
        assert schema.get("title"), name


def test_the_build_waits_for_the_extraction_and_publishes_last(bag):
    """Wiring: the asset starts the build, layers follow each other, nothing is published before both audits."""
    build = bag["dags"]["build_marts"]
    tasks = build["tasks"]
    assert build["timetable"] == "AssetOrTimeSchedule"
    extract = bag["dags"]["extract_load"]
    assert extract["timetable"] == "AssetOrTimeSchedule"
    assert extract["tasks"]["extract"]["inlets"] == ["fuel_stat_landed"]
    assert extract["tasks"]["extract"]["outlets"] == ["fuel_stat_raw"]
    assert set(build["groups"]) == {"raw", *dbt_runner.LAYERS, "publication"}
    assert "staging_intermediate.dbt_build" in tasks["marts.dbt_build"]["upstream"]
    assert "marts.dbt_build" in tasks["reports.dbt_build"]["upstream"]
    assert "reports.dbt_build" in tasks["publication.audit_marts"]["upstream"]
    assert {"raw.audit_raw", "publication.audit_marts"} <= set(tasks["publication.publish"]["upstream"])
    assert tasks["publication.publish"]["outlets"] == ["fuel_stat_marts"]


def test_what_reads_the_standby_has_one_slot(bag):
    """Extraction, backfill and backup share the pool that protects the standby."""
    for dag_id, task in (
        ("extract_load", "extract"),
        ("backfill", "reload"),
        ("backup_collector", "take"),
        ("watch_nodes", "flag_clones"),
    ):
        assert bag["dags"][dag_id]["tasks"][task]["pool"] == "standby"


@pytest.mark.parametrize("file", sorted(path.name for path in (REPOSITORY / "dags").glob("*.py")))
def test_a_dag_file_is_wiring_only(file):
    """No SQL, no files, no environment: connections by id, work in the package warehouse."""
    source = (REPOSITORY / "dags" / file).read_text()
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    modules = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert not {"os", "open"} & names
    assert modules <= {
        "__future__",
        "airflow",
        "collections",
        "dags",
        "datetime",
        "fuel_stat",
        "typing",
        "warehouse",
    }
    assert len(source.splitlines()) < 160
