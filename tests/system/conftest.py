"""A whole running stack for the tests that use the system from outside: over HTTP, SQL and its command line."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [str(Path(sys.executable).parent / "fuel-stat")]


@dataclass(frozen=True)
class Stack:
    """A stack in a folder of its own: ``fuel-stat`` is called as an operator would call it."""

    home: Path
    environ: dict[str, str]
    identity: dict[str, Any] = field(default_factory=dict)  # arguments of subprocess.run: who calls

    def cli(
        self, *arguments: str, timeout: float = 300.0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``fuel-stat`` with these arguments; output is captured, the exit code not checked."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**self.environ, **environ},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **self.identity,
        )

    def run_pipeline(self, *arguments: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """``fuel-stat pipeline run --wait``: through Airflow, extraction and then the build; must succeed."""
        done = self.cli("pipeline", "run", "--wait", *arguments, timeout=timeout)
        assert done.returncode == 0, done.stderr + done.stdout
        return done

    @property
    def state(self) -> dict[str, Any]:
        """What ``state.json`` says now."""
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text())
        return found

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The generated secrets."""
        lines = (self.home / "secrets.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    @property
    def status(self) -> dict[str, Any]:
        """The answer of ``fuel-stat status --json`` now."""
        found: dict[str, Any] = json.loads(self.cli("status", "--json").stdout)
        return found

    @property
    def ingest_url(self) -> str:
        """The collector's address, without a slash at its end."""
        return str(self.state["urls"]["ingest"])

    @property
    def analytics_url(self) -> str:
        """The address of the analytics API and page."""
        return str(self.state["urls"]["analytics"])

    @property
    def airflow_url(self) -> str:
        """Airflow's address."""
        return str(self.state["urls"]["airflow"])

    @property
    def airflow_login(self) -> tuple[str, str]:
        """User and password of Airflow's administrator."""
        return "admin", self.secrets["AIRFLOW_ADMIN_PASSWORD"]

    def dsn(self, server: str, role: str = "postgres", database: str | None = None) -> str:
        """A libpq URL: server is primary, standby or analytic; the database by default collector or analytic."""
        names = {"postgres": "POSTGRES_PASSWORD", "airflow": "AIRFLOW_PASSWORD"}
        secret = names.get(role, f"{role.removeprefix('fuel_').upper()}_PASSWORD")
        usual = "analytic" if server == "analytic" else "collector"
        port = self.state["ports"][server]
        return f"postgresql://{role}:{self.secrets[secret]}@127.0.0.1:{port}/{database or usual}"

    def rows(self, server: str, query: str, role: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        with psycopg.connect(self.dsn(server, role)) as connection:
            return connection.execute(query.encode()).fetchall()

    def airflow(self, method: str, path: str, **options: Any) -> Any:
        """A call of Airflow's API below ``/api/v2/``, signed in; the answer as JSON."""
        user, password = self.airflow_login
        with httpx.Client(base_url=self.airflow_url, timeout=30, trust_env=False) as client:
            token = client.post("/auth/token", json={"username": user, "password": password}).json()
            client.headers["Authorization"] = f"Bearer {token['access_token']}"
            answer = client.request(method, f"/api/v2/{path}", **options)
        assert not answer.is_error, answer.text
        return answer.json() if answer.content else None

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
        """Wait until something holds; fails naming what was waited for."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain for: {what}"
            time.sleep(0.5)


def new_stack(**environ: str) -> Stack:
    """A stack that is still to be started, in a folder that the servers' user can reach.

    It ends by itself when this process ends, however that happens.
    """
    home = Path("/tmp") / f"fuel-stat-system-{os.getpid()}-{secrets.token_hex(3)}"
    home.mkdir(mode=0o755)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FUEL_STAT_", "AIRFLOW"))
    }
    ours = {
        "FUEL_STAT_HOME": str(home),
        "FUEL_STAT_ANY_PORT": "1",
        "FUEL_STAT_PARENT_PID": str(os.getpid()),
        # Every Python process writes down whether it talks beyond this machine: see test_quiet.
        "PYTHONPATH": str(Path(__file__).parent / "watch"),
        "FUEL_STAT_TEST_WATCH": str(home),
    }
    return Stack(home, {**kept, **ours, **environ})


def remove(stack: Stack) -> None:
    """Stop a stack, if it runs, and delete its folder."""
    if list(stack.home.glob("run/*.json")) or list(stack.home.glob("postgres/*/postmaster.pid")):
        stack.cli("reset", "--yes")
    shutil.rmtree(stack.home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The running stack that system tests share: empty at first, its DAGs paused until a test runs one."""
    made = new_stack()
    try:
        done = made.cli("up", "--no-demo", "--no-schedule")
        assert done.returncode == 0, done.stderr + done.stdout
        yield made
    finally:
        remove(made)
