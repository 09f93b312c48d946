"""The stack as an operator meets it: start, look, stop; nothing stays behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Stack


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that belong to a stack: by their environment or their data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        served = f"FUEL_STAT_HOME={home}".encode() in environ and b"FUEL_STAT_SERVICE=" in environ
        if served or f"{home}/" in command:
            found.append(command)
    return found


@pytest.mark.slow
@pytest.mark.airflow
def test_status_has_the_promised_keys_and_all_is_healthy(stack: Stack) -> None:
    """`status --json` keeps its keys, everything is healthy after `up`, and no password is shown."""
    done = stack.cli("status", "--json")
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout)
    for service in ("ingest", "analytics", "airflow"):
        assert answer["services"][service]["healthy"] is True, service
        assert answer["services"][service]["url"].startswith("http://127.0.0.1:")
    for database in ("collector_primary", "collector_standby", "analytic"):
        assert answer["databases"][database]["healthy"] is True, database
        assert answer["databases"][database]["dsn"].startswith("postgresql://")
    assert answer["databases"]["collector_standby"]["replay_lag_seconds"] < 60
    assert {"last_run", "state", "freshness_seconds"} <= answer["pipeline"].keys()
    assert "last" in answer["backup"]
    assert answer["partitions"]["runway_days"] >= 60
    assert not [secret for secret in stack.secrets.values() if secret in done.stdout]
