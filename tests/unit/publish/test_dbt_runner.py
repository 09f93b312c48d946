"""How a dbt run is followed: what it says becomes log lines and rows, what it breaks becomes one clear error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warehouse import dbt_runner

MODEL = {
    "unique_id": "model.p.fct_action",
    "status": "success",
    "execution_time": 1.5,
    "adapter_response": {"rows_affected": 7},
}
TEST = {
    "unique_id": "test.p.is_key.abc",
    "status": "pass",
    "execution_time": 0.1,
    "adapter_response": {},
    "failures": 0,
}
RESULTS = {"results": [MODEL, TEST]}


def fake(tmp_path: Path, body: str) -> dbt_runner.Project:
    """A project whose dbt is this script; it knows its target folder as ``target``."""
    program = tmp_path / "dbt"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\n"
        "target = sys.argv[sys.argv.index('--target-path') + 1]\n"
        "def say(**event): print(json.dumps(event), flush=True)\n"
        "def finish(results): open(target + '/run_results.json', 'w').write(json.dumps(results))\n" + body
    )
    program.chmod(0o755)
    return dbt_runner.Project(
        "postgresql://u:p%40w@127.0.0.1:5/db", tmp_path / "targets", executable=program, timeout_seconds=5
    )


def test_each_node_is_told_with_status_and_time(tmp_path):
    """Live lines while it runs, and every node's result at its end."""
    said: list[str] = []
    project = fake(
        tmp_path,
        "say(info={'name': 'LogModelResult', 'level': 'info', 'msg': 'created fct_action in 1.5s'},"
        " data={'status': 'success', 'node_info': {}})\n"
        f"finish({RESULTS!r})\n",
    )
    results = dbt_runner.build_layer(project, "marts", tell=said.append)
    assert [(one.name, one.status, one.rows_affected) for one in results] == [
        ("fct_action", "success", 7),
        ("is_key", "pass", None),
    ]
    assert any("SUCCESS" in line and "fct_action" in line for line in said)


def test_dbt_is_told_the_layer_the_database_and_to_stay_quiet(tmp_path):
    """Selectors by path, its own target folder, the address in the environment, and no usage statistics."""
    project = fake(
        tmp_path,
        "finish({'results': []})\n"
        "json.dump({'argv': sys.argv, 'env': dict(os.environ)}, open(target + '/seen.json', 'w'))\n",
    )
    dbt_runner.build_layer(project, "reports", full_refresh=True)
    seen = json.loads((tmp_path / "targets" / "reports" / "seen.json").read_text())
    assert {"path:dbt_project/models/reports", "--full-refresh", "unit_test"} <= set(seen["argv"])
    assert "p@w" not in " ".join(seen["argv"])
    assert seen["env"]["FUEL_STAT_DBT_PASSWORD"] == "p@w"
    assert seen["env"]["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"


def test_a_failed_node_is_named_with_its_message(tmp_path):
    """One error with what failed; the results of the others are kept."""
    broken = {
        "results": [
            *RESULTS["results"],
            {"unique_id": "model.p.dim_x", "status": "error", "message": "no column y"},
        ]
    }
    project = fake(tmp_path, f"finish({broken!r})\nsys.exit(1)\n")
    with pytest.raises(dbt_runner.DbtError) as failed:
        dbt_runner.build_layer(project, "marts")
    assert failed.value.code == "dbt_failed"
    assert "dim_x: no column y" in failed.value.sentence
    assert len(failed.value.results) == 3


def test_what_python_says_before_dbt_can_log_is_not_lost(tmp_path):
    """A traceback on stderr becomes the sentence; old results are not taken for new ones."""
    project = fake(tmp_path, f"finish({RESULTS!r})\n")
    dbt_runner.build_layer(project, "marts")
    project = fake(tmp_path, "raise RuntimeError('profiles.yml is broken')\n")
    with pytest.raises(dbt_runner.DbtError, match=r"profiles\.yml is broken") as failed:
        dbt_runner.build_layer(project, "marts")
    assert failed.value.results == ()


def test_an_unknown_layer_is_refused(tmp_path):
    """No dbt is started for it."""
    with pytest.raises(dbt_runner.DbtError) as refused:
        dbt_runner.build_layer(fake(tmp_path, ""), "attic")
    assert refused.value.code == "unknown_layer"


def test_dbt_that_talks_for_too_long_is_stopped(tmp_path):
    """The limit is the project's."""
    project = fake(tmp_path, "while True:\n    say(info={}, data={})\n    time.sleep(0.05)\n")
    impatient = dbt_runner.Project(
        project.dsn, project.targets, executable=project.executable, timeout_seconds=0.5
    )
    with pytest.raises(dbt_runner.DbtError) as stopped:
        dbt_runner.build_layer(impatient, "marts")
    assert stopped.value.code == "dbt_timeout"


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["as usual", "in the background"])
def test_dbt_goes_with_the_task_that_started_it(tmp_path, handler):
    """After kill -9 of the task no dbt goes on writing into schema build, also where a script's background job made
    all below it ignore interrupts.
    """
    project = fake(tmp_path, "open(target + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    code = (
        "from pathlib import Path\nfrom warehouse import dbt_runner\n"
        f"dbt_runner.build_layer(dbt_runner.Project({project.dsn!r}, Path({str(project.targets)!r}),"
        f" executable=Path({str(project.executable)!r})), 'marts')\n"
    )
    root = Path(dbt_runner.__file__).parents[1]
    task = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    mark = project.targets / "marts" / "pid"
    deadline = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    task.send_signal(signal.SIGKILL)
    task.wait()
    pid = int(mark.read_text())
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if stat == "Z":
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{pid}").exists()
