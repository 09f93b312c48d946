"""No package phones home: nothing of a working stack talks to another machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Stack

WATCH = Path(__file__).parent / "watch"
TELL = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("127.0.0.1", 9))
    s.connect(("192.0.2.1", 9))
"""


def test_the_watch_sees_a_connection_to_another_machine(tmp_path: Path) -> None:
    """What the next test relies on: a connection beyond loopback is written down, one to loopback is not."""
    environ = {**os.environ, "PYTHONPATH": str(WATCH), "FUEL_STAT_TEST_WATCH": str(tmp_path)}
    # A documentation address (RFC 5737); an unreachable network does not keep the attempt from being seen.
    subprocess.run([sys.executable, "-c", TELL], env=environ, stderr=subprocess.DEVNULL, check=False)
    seen = (tmp_path / "outbound.log").read_text().splitlines()
    assert len(seen) == 1
    assert "192.0.2.1" in seen[0]


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_a_working_stack_talks_to_nobody(stack: Stack) -> None:
    """Services, Airflow, dbt and Great Expectations worked, watched, without looking for another machine."""
    log = stack.home / "watched.log"
    if "dbt" not in log.read_text():  # no other test has run the pipeline yet
        assert stack.cli("fleet", "run", "--nodes", "3", "--seed", "71").returncode == 0
        stack.run_pipeline(timeout=500)
    watched = log.read_text()
    for program in ("gunicorn", "analytics_api.worker", "airflow scheduler", "airflow api-server", "dbt"):
        assert program in watched, program
    outbound = stack.home / "outbound.log"
    assert not outbound.exists(), outbound.read_text()[:2000]
