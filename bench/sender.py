"""What the recorder costs a host: `make bench-sender` writes docs/benchmarks/sender.md.

Three gunicorn hosts of the same small application, one bare, one recorded, one that writes and commits in the
request as the original did, are asked in turn for 200 modifying requests a second, in short slots, so that
whatever else the machine does meets all three alike.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent / "docs" / "benchmarks" / "sender.md"
MODES = ("bare", "recorded", "original")
RATE = 200
CONNECTIONS = 4
MEDIAN_MOST_US = 40.0
P99_MOST_US = 1000.0
BODY = json.dumps({f"setting_{n}": {"value": n, "label": "x" * 20} for n in range(20)}).encode()


@dataclass
class Host:
    """One running host and what was measured of it, in microseconds."""

    mode: str
    port: int
    inside: list[list[float]] = field(default_factory=list)
    outside: list[list[float]] = field(default_factory=list)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@contextmanager
def hosting(mode: str, folder: Path) -> Iterator[Host]:
    """Run one host under gunicorn (one process, four threads)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {
        **os.environ,
        "MODE": mode,
        "FUEL_STAT_SENDER_DATABASE_URL": f"sqlite:///{folder}/{mode}.sqlite",
    }
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4",
               "--log-level", "warning", "--chdir", str(HERE / "sender_hosts"), "wsgi:timed"]  # fmt: skip
    process = subprocess.Popen(command, env=environment)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Host(mode, port)
    finally:
        process.terminate()
        process.wait(15)


def _ask(host: Host, seconds: float, offset: float, taken: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    pause = CONNECTIONS / RATE
    due = time.perf_counter() + offset
    until = due + seconds
    while due < until:
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        connection.request("PUT", "/api/clusters/1/attributes/", BODY, {"X-Auth-Token": "token"})
        connection.getresponse().read()
        taken.append((time.perf_counter() - began) * 1e6)
        due += pause
    connection.close()


def slot(host: Host, seconds: float, keep: bool = True) -> None:
    """Ask one host at the fixed rate for some seconds."""
    taken: list[float] = []
    threads = [
        threading.Thread(target=_ask, args=(host, seconds, number / RATE, taken))
        for number in range(CONNECTIONS)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    connection.request("GET", "/times")
    inside = [1e6 * value for value in json.loads(connection.getresponse().read())]
    connection.close()
    if keep:
        host.inside.append(inside)
        host.outside.append(taken)


def run(rounds: int, seconds: float) -> dict[str, Host]:
    """Measure all three hosts in turn, the order turning with each round."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder, ExitStack() as stack:
        hosts = {mode: stack.enter_context(hosting(mode, Path(folder))) for mode in MODES}
        for host in hosts.values():
            slot(host, 1.0, keep=False)
        for number in range(rounds):
            for turn in range(len(MODES)):
                slot(hosts[MODES[(number + turn) % len(MODES)]], seconds)
        return hosts


def _all(slots: list[list[float]]) -> list[float]:
    return [value for each in slots for value in each]


def _row(host: Host, bare: Host) -> str:
    inside, outside, base = _all(host.inside), _all(host.outside), _all(bare.inside)
    cells = [
        host.mode,
        f"{statistics.median(inside):.0f}",
        f"{statistics.median(inside) / statistics.median(base):.2f}",
        f"{statistics.median(inside) - statistics.median(base):+.0f}",
        f"{percentile(inside, 0.99):.0f}",
        f"{percentile(inside, 0.99) - percentile(base, 0.99):+.0f}",
        f"{statistics.median(outside):.0f}",
        f"{percentile(outside, 0.99):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def report(hosts: dict[str, Host], rounds: int, seconds: float) -> tuple[str, bool]:
    """The page, and whether the targets were met."""
    bare, recorded = _all(hosts["bare"].inside), _all(hosts["recorded"].inside)
    median = statistics.median(recorded) - statistics.median(bare)
    tail = percentile(recorded, 0.99) - percentile(bare, 0.99)
    met = median <= MEDIAN_MOST_US and tail <= P99_MOST_US
    original = statistics.median(_all(hosts["original"].inside)) - statistics.median(bare)
    lines = [
        "# What the recorder costs a host",
        "",
        f"Written by `make bench-sender`. {rounds} rounds of {seconds:g} s a host, {RATE} modifying requests a second over"  # noqa: E501
        f" {CONNECTIONS} connections; the hosts take turns, so read the differences and ratios, not the times.",
        f"{os.cpu_count()} cores, Python {platform.python_version()}, gunicorn with one process of four threads, SQLite with"  # noqa: E501
        " `synchronous=full`.",
        "",
        "Microseconds a request. *Inside*: in the server, around the application; *client*: as the client saw it.",
        "",
        "| host | inside median | ratio to bare | added median | inside p99 | added p99 | client median | client p99 |",
        "|---|---|---|---|---|---|---|---|",
        *[_row(hosts[mode], hosts["bare"]) for mode in MODES],
        "",
        f"Targets: added median ≤ {MEDIAN_MOST_US:.0f} µs (here {median:.0f}), added p99 ≤ {P99_MOST_US:.0f} µs (here"
        f" {tail:.0f}): **{'met' if met else 'missed'}**. Writing and committing in the request, as the original did, adds"  # noqa: E501
        f" {original / max(median, 0.1):.0f} times as much to the median.",
        "",
    ]
    return "\n".join(lines), met


def main() -> int:
    """Run the bench, write the page; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--no-write", action="store_true", help="print the page instead of writing it")
    given = parser.parse_args()
    page, met = report(run(given.rounds, given.seconds), given.rounds, given.seconds)
    print(page)
    if not given.no_write:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(page, encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
