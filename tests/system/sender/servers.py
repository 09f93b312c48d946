"""Starting the host under real servers, and its own tests as a transcript that can be compared."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = ("gunicorn", "gunicorn-preload", "uwsgi", "uwsgi-lazy-apps")


@dataclass(frozen=True)
class Host:
    """A running host."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[object, ...]:
        """One request on a connection of its own -> status, reason, headers that are the application's, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, {"X-Auth-Token": "s3cr3t", **(headers or {})})
            answer = connection.getresponse()
            own = sorted(
                (k, v)
                for k, v in answer.getheaders()
                if k not in ("Date", "Server", "Connection", "Keep-Alive")
            )
            try:
                content = answer.read()
            except http.client.IncompleteRead as cut:
                content = b"cut:" + cut.partial
            return answer.status, answer.reason, own, content
        except http.client.RemoteDisconnected:
            return ("cut",)
        finally:
            connection.close()

    def own_tests(self) -> list[tuple[object, ...]]:
        """The host's own tests: every branch, modifying or not, in a fixed order."""
        return [
            self.ask("POST", "/api/clusters/", b'{"name": "one"}'),
            self.ask("GET", "/api/clusters/1/"),
            self.ask("PUT", "/api/clusters/1/"),
            self.ask("PUT", "/api/clusters/1/changes/"),
            self.ask("PATCH", "/api/clusters/1/attributes/"),
            self.ask("GET", "/api/releases/"),
            self.ask("POST", "/api/releases/"),
            self.ask("PUT", "/api/settings/"),
            self.ask("POST", "/api/tasks/"),
            self.ask("DELETE", "/api/clusters/1/"),
            self.ask("POST", "/nowhere/else"),
        ]

    def timed(self, count: int) -> list[float]:
        """Seconds that each of ``count`` modifying requests took."""
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            assert self.ask("PUT", "/api/clusters/1/")[0] == 200
            taken.append(time.perf_counter() - began)
        return taken


MODIFYING_IN_OWN_TESTS = 9


def _port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _command(server: str, port: int) -> list[str]:
    bin_ = Path(sys.executable).parent
    if server.startswith("uwsgi"):
        threads = {
            "uwsgi-without-threads": [],
            # an application loaded in each worker, whose requests have one thread and ours another
            "uwsgi-lazy-apps": ["--lazy-apps", "--enable-threads"],
        }.get(server, ["--threads", "4", "--enable-threads"])
        return [
            str(bin_ / "uwsgi"),
            "--http-socket",
            f"127.0.0.1:{port}",
            "--wsgi",
            "host_app",
            "--master",
            "--processes",
            "1",
            *threads,
            "--die-on-term",
            "--disable-logging",
            "--chdir",
            str(HERE),
            "--virtualenv",
            str(bin_.parent),
        ]
    preload = ["--preload"] if server == "gunicorn-preload" else []
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "1",
        "--threads",
        "4",
        *preload,
        "--graceful-timeout",
        "5",
        "--chdir",
        str(HERE),
        "host_app:application",
    ]


@contextmanager
def hosting(
    server: str, folder: Path, database_url: str | None, preload: str = "", **settings: str
) -> Iterator[Host]:
    """Run the host; with ``database_url`` it records.

    ``preload`` is a library, ``settings`` go to FUEL_STAT_SENDER_*.
    """
    port = _port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FUEL_STAT_SENDER_")}
    if preload:
        environment["LD_PRELOAD"] = preload
    if database_url is not None:
        environment |= {"HOST_RECORDS": "1", "FUEL_STAT_SENDER_DATABASE_URL": database_url}
        environment["FUEL_STAT_SENDER_TALLY_FOLDER"] = str(folder)
        environment |= {f"FUEL_STAT_SENDER_{name.upper()}": value for name, value in settings.items()}
    log = folder / f"{server}-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            _command(server, port), env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _wait(port, process, log)
        yield Host(port, process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
    raise AssertionError(f"the host did not start: {log.read_text(errors='replace')}")


def children(pid: int) -> list[int]:
    """Pids of a process's children."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(host: Host) -> list[int]:
    """Pids of the processes that serve requests."""
    return children(host.process.pid)
