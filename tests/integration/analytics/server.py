"""The real analytics API under gunicorn, and the real report worker, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from analytics_api.app import create_app
from analytics_api.settings import Settings
from fuel_stat.postgres import free_port
from fuel_stat.settings import from_env

REPOSITORY = Path(__file__).resolve().parents[3]


def fetch(url: str, **more: object) -> httpx.Response:
    """GET with the patience that a busy machine needs."""
    return httpx.get(url, timeout=90, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Server:
    """A running analytics API."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    home: Path

    def get(self, path: str, **more: object) -> httpx.Response:
        """GET below /api/v1."""
        return fetch(f"{self.url}/api/v1/{path}", **more)

    def worker_pids(self) -> list[int]:
        """The gunicorn workers that live now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


@dataclass(frozen=True)
class Local:
    """The application inside the test's process: quicker, where no process has to be looked at."""

    client: httpx.Client

    def get(self, path: str, **more: object) -> httpx.Response:
        """GET below /api/v1."""
        return self.client.get(f"/api/v1/{path}", **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def in_process(environ: dict[str, str]) -> Iterator[Local]:
    """The API without a server."""
    app = create_app(from_env(Settings, environ))
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://local") as client:
        yield Local(client)


def environment(dsn: str, reports_dsn: str, pepper: bytes, home: Path, **more: str) -> dict[str, str]:
    """What the stack would set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUEL_STAT_")}
    return {
        **kept,
        "FUEL_STAT_ANALYTICS_DSN": dsn,
        "FUEL_STAT_REPORTS_DSN": reports_dsn,
        "FUEL_STAT_PEPPER": pepper.hex(),
        "FUEL_STAT_HOME": str(home),
        "WEB_CONCURRENCY": "1",
        **more,
    }


@contextlib.contextmanager
def running(environ: dict[str, str], folder: Path) -> Iterator[Server]:
    """An API on a free port; stopped at the end."""
    port = free_port()
    log = folder / f"analytics-{port}.log"
    command = [sys.executable, "-m", "gunicorn", "-c", "analytics_api/gunicorn_conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", "analytics_api.wsgi:application"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    server = Server(f"http://127.0.0.1:{port}", process, log, Path(environ["FUEL_STAT_HOME"]))
    try:
        _wait_up(server)
        yield server
    finally:
        _stop(process)


def _wait_up(server: Server) -> None:
    for _ in range(900):
        assert server.process.poll() is None, server.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/healthz").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"the API did not come up: {server.log.read_text()}")


@contextlib.contextmanager
def running_worker(environ: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A report worker; stopped at the end unless the test killed it."""
    with (folder / f"worker-{time.monotonic_ns()}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "analytics_api.worker"],
            cwd=REPOSITORY,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
