"""What the recorder costs a host: `make bench-sender` writes docs/benchmarks/sender.md.

Hosts of the same small application, bare, recorded in several states of the node, and one that writes and commits in
the request as the original did, are asked in turn for 200 modifying requests a second, in short slots whose order
changes, so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.sender.hosts import CONNECTIONS, KINDS, RATE, Host, begin_trouble, hosting, slot

REPORT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "sender.md"
MEDIAN_MOST_US = 40.0
P99_MOST_US = 1000.0
RESAMPLED = 400

Slots = Sequence[list[float]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return percentile(values, 0.99)


def run(rounds: int, seconds: float) -> dict[str, Host]:
    """Measure all hosts in turn, in a new order each round."""
    order = random.Random(1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder, ExitStack() as stack:
        hosts = {kind.name: stack.enter_context(hosting(kind, Path(folder))) for kind in KINDS}
        for host in hosts.values():
            slot(host, 1.0, keep=False)
            begin_trouble(host)
        for _ in range(rounds):
            for host in order.sample(list(hosts.values()), len(hosts)):
                slot(host, seconds)
        return hosts


def _all(slots: Slots) -> list[float]:
    return [value for each in slots for value in each]


def added(host: Slots, bare: Slots, figure: Callable[[Sequence[float]], float]) -> tuple[float, float, float]:
    """What a host's figure is above the bare one's, and where it lies in 19 of 20 resamplings of the rounds."""
    chosen = random.Random(2)
    differences = []
    for _ in range(RESAMPLED):
        rounds = chosen.choices(range(len(bare)), k=len(bare))
        differences.append(
            figure(_all([host[number] for number in rounds]))
            - figure(_all([bare[number] for number in rounds]))
        )
    return (
        figure(_all(host)) - figure(_all(bare)),
        percentile(differences, 0.025),
        percentile(differences, 0.975),
    )


def _told(figures: tuple[float, float, float]) -> str:
    value, low, high = figures
    return f"{value:+.0f} ({low:+.0f} … {high:+.0f})"


def _row(host: Host, bare: Host) -> str:
    inside, base = _all(host.inside), _all(bare.inside)
    cells = [host.kind.name, f"{statistics.median(inside):.0f}", f"{p99(inside):.0f}"]
    if host is bare:
        cells += ["", "", "", ""]
    else:
        cells += [
            f"{statistics.median(inside) / statistics.median(base):.2f}",
            _told(added(host.inside, bare.inside, statistics.median)),
            _told(added(host.inside, bare.inside, p99)),
            f"{statistics.median(_all(host.cpu)) - statistics.median(_all(bare.cpu)):+.0f}",
        ]
    cells += [
        f"{statistics.median(host.process) - statistics.median(bare.process):+.0f}"
        if host is not bare
        else "",
        f"{statistics.median(_all(host.outside)):.0f}",
        f"{p99(_all(host.outside)):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _bare_of(host: Host, hosts: dict[str, Host]) -> Host:
    return next(h for h in hosts.values() if h.kind.mode == "bare" and h.kind.server == host.kind.server)


_INTRODUCTION = """\
# What the recorder costs a host

Written by `make bench-sender`. {rounds} rounds of {seconds:g} s a host, {rate} modifying requests a second over
{connections} connections, {count} requests a host. All hosts run all the time and are asked in turn, in a new order
each round; so read the differences and ratios, not the times. {cores} cores (the client is on them too), Python
{python}, one process of four threads, SQLite with `synchronous=full`; load of the machine at the start {load:.1f}.

Microseconds a request. *Inside*: in the server, around the application, so that neither client nor network is in it.
*Added*: above the bare host under the same server; in brackets where it lies in 19 of 20 resamplings of the rounds.
*CPU*: added to the thread that serves (median), and to the whole process a request (the writer's work included, in
steps of the kernel's 10 ms). *Client*: as the client saw it.

*Database broken*: no server at its address. *Disk full*: no file of the process can grow. *Writer killed*: twice a
slot, in the middle of whatever it does. All try again twice a second.

"""
_COLUMNS = (
    "host", "inside median", "inside p99", "ratio", "added median", "added p99", "CPU, thread", "CPU, process",
    "client median", "client p99",
)  # fmt: skip


def report(hosts: dict[str, Host], rounds: int, seconds: float, load: float) -> tuple[str, bool]:
    """The page, and whether the targets were met."""
    bare, recorded = hosts["bare"], hosts["recorded"]
    median = added(recorded.inside, bare.inside, statistics.median)
    tail = added(recorded.inside, bare.inside, p99)
    original = added(hosts["the original's way"].inside, bare.inside, statistics.median)[0]
    met = median[0] <= MEDIAN_MOST_US and tail[0] <= P99_MOST_US
    head = _INTRODUCTION.format(
        rounds=rounds,
        seconds=seconds,
        rate=RATE,
        connections=CONNECTIONS,
        count=len(_all(bare.inside)),
        cores=os.cpu_count(),
        python=platform.python_version(),
        load=load,
    )
    rows = "\n".join(_row(host, _bare_of(host, hosts)) for host in hosts.values())
    end = (
        f"\n\nTargets, under gunicorn: added median ≤ {MEDIAN_MOST_US:.0f} µs, here {_told(median)}; added p99 ≤"
        f" {P99_MOST_US:.0f} µs, here {_told(tail)}: **{'met' if met else 'missed'}**.\nWriting and committing in"
        f" the request, as the original did, adds {original / max(median[0], 0.1):.0f} times as much to the median.\n"
    )
    table = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n{rows}"
    return head + table + end, met


def main() -> int:
    """Run the bench, write the page; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--no-write", action="store_true", help="print the page instead of writing it")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    page, met = report(run(given.rounds, given.seconds), given.rounds, given.seconds, load)
    print(page)
    if not given.no_write:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(page, encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
