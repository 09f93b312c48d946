"""What the sending process costs a node: `make bench-sender` writes docs/benchmarks/sender-messenger.md.

The real `fuel-stat-sender run` over a node's database, against a collector of the bench that says `added` to all:
memory after a backlog was drained, signed and over TLS or plainly, and the processor's time of waiting and of cycles
with nothing to send.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nailgun_sender.clock import now
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger.enrolment import FACT
from nailgun_sender.messenger.signing import Key
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "sender-messenger.md"
MEMORY_MOST_MB = 75
IDLE_MOST_PERCENT = 1.0
INFO = {
    "request_data": {"http_method": "PUT", "url": "/api/clusters/{id}/changes/", "data": {}},
    "response_data": {"status": "202 Accepted", "data": {}},
}


class Collector(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        records = json.loads(body)["action_logs"]
        words = [{"external_id": each["external_id"], "status": "added"} for each in records]
        answer = json.dumps({"status": "ok", "action_logs": words}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@dataclass
class Figures:
    """Of one process: megabytes of resident memory, and seconds of processor time."""

    started_mb: float
    drained_mb: float
    peak_mb: float
    waiting_percent: float
    cycle_ms: float


@contextmanager
def collecting() -> Iterator[str]:
    """The bench's collector; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, args=(0.2,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def sending(url: str, database: str, **more: str) -> Iterator[int]:
    """The background process; its number."""
    environ = {
        "PATH": os.environ["PATH"],
        "FUEL_STAT_SENDER_DATABASE_URL": database,
        "FUEL_STAT_SENDER_COLLECTOR_URL": url,
        **more,
    }
    command = [str(Path(sys.executable).parent / "fuel-stat-sender"), "run"]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def memory(pid: int, name: str = "VmRSS") -> float:
    """Megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def used(pid: int) -> float:
    """Seconds of processor time until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_it_waits(pid: int) -> None:
    """Wait until the process has slept for three seconds on end: on a busy machine its start takes long."""
    slept = 0
    while slept < 15:
        before = used(pid)
        time.sleep(0.2)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        slept = slept + 1 if state == "S" and used(pid) == before and before > 0.1 else 0


def prepared(folder: Path, name: str, records: int, signed: bool) -> tuple[Store, dict[str, str], str]:
    """A node's database with a backlog; the settings of its process."""
    url = f"sqlite:///{folder}/{name}.sqlite"
    store = Store.open(Settings(database_url=url))
    Receipts(store).agree(["actions", "configuration", "workloads"], who="op", via="bench")
    more = {}
    with store.write() as connection:
        if signed:
            key = Key.load_or_make(folder / f"{name}.key")
            connection.execute(store.tables.facts.insert().values(name=FACT, value=key.key_id))
            more["FUEL_STAT_SENDER_KEY_FILE"] = str(folder / f"{name}.key")
        rows = [
            {
                "record_uuid": f"r-{number}",
                "action_group": "cluster_changes",
                "action_name": "deploy_changes",
                "action_type": "http_request",
                "start_timestamp": now(),
                "end_timestamp": now(),
                "additional_info": INFO,
                "recorded_at": now(),
            }
            for number in range(records)
        ]
        connection.execute(store.tables.actions.insert(), rows)
    return store, more, url


def left(store: Store) -> int:
    """Records that wait."""
    actions = store.tables.actions
    with store.read() as connection:
        return len(connection.execute(actions.select().where(actions.c.is_sent.is_(False)).limit(1)).all())


def measure(folder: Path, name: str, records: int, seconds: float, signed: bool) -> Figures:
    """Drain, then look at cycles with nothing to send, then at waiting."""
    store, more, database = prepared(folder, name, records, signed)
    with collecting() as url:
        with sending(url, database, **more, FUEL_STAT_SENDER_INTERVAL="0.5") as pid:
            time.sleep(0.3)
            started = memory(pid)
            while left(store):
                time.sleep(0.2)
            time.sleep(3)
            before, drained, began = used(pid), memory(pid), time.monotonic()
            time.sleep(seconds)
            cycles = (time.monotonic() - began) / 0.5
            spent = used(pid) - before
            peak = memory(pid, "VmHWM")
        with sending(url, database, **more) as pid:
            until_it_waits(pid)
            before = used(pid)
            time.sleep(seconds)
            waiting = used(pid) - before
    store.close()
    return Figures(started, drained, peak, 100 * waiting / seconds, 1000 * spent / cycles)


def page(found: dict[str, Figures], records: int, seconds: float) -> str:
    """The report."""
    rows = []
    for name, each in found.items():
        hourly = each.waiting_percent + each.cycle_ms / 3_600_000 * 100
        rows.append(
            f"| {name} | {each.started_mb:.0f} | {each.drained_mb:.0f} | {each.peak_mb:.0f}"
            f" | {each.waiting_percent:.3f} | {each.cycle_ms:.0f} | {hourly:.4f} |"
        )
    most = max(each.peak_mb for each in found.values())
    idle = max(each.waiting_percent + each.cycle_ms / 36_000 for each in found.values())
    fine = most <= MEMORY_MOST_MB and idle <= IDLE_MOST_PERCENT
    return "\n".join(
        [
            "# What the sending process costs a node",
            "",
            f"Written by `make bench-sender` ({Path(__file__).name}). The real `fuel-stat-sender run` over SQLite"
            f" drained {records:,} records in requests of 500, then had nothing to send for {seconds:.0f} s"
            f" with a cycle about every 0.5 s, then waited {seconds:.0f} s with the default hour between cycles.",
            f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} (memory and"
            " processor time do not depend on it much).",
            "",
            "| process | MB at start | MB after the backlog | MB at most | % of a core waiting"
            " | ms of processor an empty cycle | % of a core, hourly |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Targets: at most {MEMORY_MOST_MB} MB resident (here {most:.0f} at the peak), at most"
            f" {IDLE_MOST_PERCENT:g} % of a core idle (here {idle:.4f}): **{'met' if fine else 'missed'}**.",
            "",
        ]
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: measure(Path(folder), name, options.records, options.seconds, name == "signed")
            for name in ("unsigned", "signed")
        }
    text = page(found, options.records, options.seconds)
    REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
