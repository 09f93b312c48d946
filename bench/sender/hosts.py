"""The hosts of the sender's bench: which server, recorded or not, and what is wrong with the node meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BODY = json.dumps({f"setting_{n}": {"value": n, "label": "x" * 20} for n in range(20)}).encode()
RATE = 200
CONNECTIONS = 4
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Kind:
    """A way to run the host."""

    name: str
    server: str
    mode: str
    trouble: str = ""


KINDS = (
    Kind("bare", "gunicorn", "bare"),
    Kind("recorded", "gunicorn", "recorded"),
    Kind("recorded, database broken", "gunicorn", "recorded", "broken"),
    Kind("recorded, disk full", "gunicorn", "recorded", "full"),
    Kind("recorded, writer killed every second", "gunicorn", "recorded", "killed"),
    Kind("the original's way", "gunicorn", "original"),
    Kind("uWSGI, bare", "uwsgi", "bare"),
    Kind("uWSGI, recorded", "uwsgi", "recorded"),
    Kind("uWSGI, recorded, database broken", "uwsgi", "recorded", "broken"),
)


@dataclass
class Host:
    """One running host and what was measured of it, a list a slot, in microseconds."""

    kind: Kind
    port: int
    inside: list[list[float]] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)
    outside: list[list[float]] = field(default_factory=list)
    process: list[float] = field(default_factory=list)

    def get(self, path: str) -> Any:
        """What the host's timing layer says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Connection": "close"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def process_cpu(self) -> float:
        """Seconds of CPU that the serving process has used, all threads."""
        values = Path(f"/proc/{self.get('/pid')}/stat").read_text().rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / TICKS


def _command(server: str, port: int) -> list[str]:
    if server == "uwsgi":
        uwsgi = Path(sys.executable).parent / "uwsgi"
        return [str(uwsgi), "--http-socket", f"127.0.0.1:{port}", "--wsgi", "wsgi:timed", "--chdir", str(HERE),
                "--virtualenv", str(uwsgi.parent.parent), "--master", "--processes", "1", "--threads", "4",
                "--enable-threads", "--die-on-term", "--disable-logging"]  # fmt: skip
    return [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4",
            "--log-level", "warning", "--chdir", str(HERE), "wsgi:timed"]  # fmt: skip


@contextmanager
def hosting(kind: Kind, folder: Path) -> Iterator[Host]:
    """Run one host: one process of four threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    url = f"sqlite:///{folder}/{port}.sqlite"
    if kind.trouble == "broken":
        url = "postgresql+psycopg2://nobody@127.0.0.1:1/none"
    environment = {
        **os.environ,
        "MODE": kind.mode,
        "FUEL_STAT_SENDER_DATABASE_URL": url,
        # it tries again twice a second, as at the beginning of a trouble
        "FUEL_STAT_SENDER_RETRY_MOST": "0.5",
    }
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(_command(kind.server, port), env=environment, stdout=log, stderr=log)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Host(kind, port)
    finally:
        process.terminate()
        process.wait(15)


def begin_trouble(host: Host) -> None:
    """Fill the disk of the host that is to have a full one: from now on no file of its process grows."""
    if host.kind.trouble == "full":
        resource.prlimit(host.get("/pid"), resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))


def _ask(host: Host, seconds: float, offset: float, taken: list[float]) -> None:
    # uWSGI's own HTTP takes one request a connection
    once = host.kind.server == "uwsgi"
    headers = {"X-Auth-Token": "token", **({"Connection": "close"} if once else {})}
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    pause = CONNECTIONS / RATE
    due = time.perf_counter() + offset
    until = due + seconds
    while due < until:
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        connection.request("PUT", "/api/clusters/1/attributes/", BODY, headers)
        connection.getresponse().read()
        if once:
            connection.close()
        taken.append((time.perf_counter() - began) * 1e6)
        due += pause
    connection.close()


def slot(host: Host, seconds: float, keep: bool = True) -> None:
    """Ask one host at the fixed rate for some seconds."""
    taken: list[float] = []
    before = host.process_cpu()
    threads = [
        threading.Thread(target=_ask, args=(host, seconds, number / RATE, taken))
        for number in range(CONNECTIONS)
    ]
    for each in threads:
        each.start()
    if host.kind.trouble == "killed":
        host.get("/kill-writer")
        time.sleep(1.1)
        host.get("/kill-writer")
    for each in threads:
        each.join()
    used = host.process_cpu() - before
    times = host.get("/times")
    if keep:
        host.inside.append([1e6 * wall for wall, _ in times])
        host.cpu.append([1e6 * cpu for _, cpu in times])
        host.outside.append(taken)
        host.process.append(1e6 * used / len(taken))
