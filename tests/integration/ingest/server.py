"""Runs the real collector under gunicorn, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Server:
    """A running collector."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, timeout: float = 20.0) -> httpx.Client:
        """An HTTP client bound to it."""
        return httpx.Client(base_url=self.url, timeout=timeout)

    def worker_pids(self) -> list[int]:
        """The gunicorn workers that live now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def stop(self, seconds: float = 20.0) -> int:
        """Stop gracefully; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_server(
    dsn: str,
    folder: Path,
    *,
    workers: int = 2,
    arguments: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A collector on a free port, every answer validated; killed at the end if it still runs."""
    port = free_port()
    log = folder / f"ingest-{port}.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FUEL_STAT_INGEST")},
        "FUEL_STAT_INGEST_DSN": dsn,
        "FUEL_STAT_INGEST_WORKERS": str(workers),
        "FUEL_STAT_INGEST_PLAIN_BIND": f"127.0.0.1:{port}",
        "FUEL_STAT_INGEST_BIND": "",
        "FUEL_STAT_INGEST_VALIDATE_RESPONSES": "1",
        "FUEL_STAT_INGEST_DISK_PATH": str(folder),
        "FUEL_STAT_INGEST_NODE_PER_HOUR": "0",
        "FUEL_STAT_INGEST_PREFIX_PER_HOUR": "0",
        **(environ or {}),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "ingest_api/gunicorn_conf.py"]
    command += [*arguments, "ingest_api.wsgi:application"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_up(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_up(server: Server, seconds: float = 30.0) -> None:
    """Wait until /healthz answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the collector ended: {server.log.read_text()[-2000:]}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/healthz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the collector did not start: {server.log.read_text()[-2000:]}")
