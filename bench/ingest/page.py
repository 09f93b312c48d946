"""The page docs/benchmarks/ingest.md, from what was measured and from nothing else."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.ingest.load import CONNECTIONS

#: work -> (most ms of CPU, least times better than the original measured alone, that original's ms of CPU)
TARGETS = {
    "100 new action logs": (2.2, 18, 47.0),
    "the same 100 again": (1.5, 18, 30.0),
    "60 kB structure, changed": (2.0, 6, 13.0),
    "60 kB structure, unchanged": (0.6, 20, 13.0),
    "10 workloads, new": (0.9, 8, 7.4),
    "10 workloads, updated": (0.9, 15, 15.0),
}


@dataclass
class Measured:
    """One work at one server: CPU seconds, requests, seconds, times of answers in ms."""

    server_cpu: float = 0.0
    postgres_cpu: float = 0.0
    standby_cpu: float = 0.0
    requests: int = 0
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)

    def per_request(self, cpu: float) -> float:
        """Milliseconds a request."""
        return cpu * 1000 / self.requests if self.requests else 0.0

    @property
    def server(self) -> float:
        """The server, ms a request."""
        return self.per_request(self.server_cpu)

    @property
    def postgres(self) -> float:
        """The primary, ms a request."""
        return self.per_request(self.postgres_cpu)

    @property
    def total(self) -> float:
        """Server and primary, ms a request."""
        return self.server + self.postgres

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def quantile(self, part: float) -> float:
        """Milliseconds within which that part of the answers came."""
        return statistics.quantiles(self.times, n=1000)[round(part * 1000) - 1]


@dataclass
class Findings:
    """Everything that was measured."""

    ours: dict[str, Measured]
    alone: dict[str, Measured]
    base: dict[str, Measured]
    sizes: dict[str, int]
    ceiling: Measured
    disk: tuple[float, float]
    steps: dict[str, dict[str, float]]
    memory: list[tuple[int, list[float]]]
    postgres: str
    others: float


#: share of the machine that others may take without a word on it
_NOTICED = 0.05
_HEAD = """# What a request costs the collector

Written by `make bench-ingest`. Everything is on: redaction, quotas, metrics, logs, statuses, fsync; each answer comes
after its commit. CPU is milliseconds a request of all processes of the server and of the primary, background ones
included (the scheduler's own nanoseconds, not ticks); the clients' is not counted. The stand-in for the original's way
(standard library JSON, pure-Python jsonschema, select what exists, ORM insert, one commit) runs interleaved in the same
run, so its times say how fast this machine is. The last column sets our CPU against the figures that the original
itself measured alone, on another machine of two such cores.

{cores} cores, Python {python}, {postgres}; {connections} kept-alive connections without a pause between requests. The
collector runs as it comes ({workers} for these cores), the stand-in in two workers of four threads. {company}

## CPU a request
"""


def render(found: Findings) -> str:
    """The page's text."""
    company = f"Other processes took {found.others:.0%} of the machine's time meanwhile."
    if found.others > _NOTICED:
        company += (
            " **Each millisecond here is then too high**: busy neighbours share caches and execution units."
        )
    head = _HEAD.format(
        cores=os.cpu_count(),
        workers=_workers(found),
        python=platform.python_version(),
        connections=CONNECTIONS,
        postgres=found.postgres,
        company=company,
    )
    size, jsonb_size = found.disk
    lines = [
        head,
        *_costs(found),
        "",
        *_times(found),
        "",
        "COPY ceiling: 100 of the same records, one jsonb row each and no answer a record, by COPY from two processes,"
        f" cost {found.ceiling.total:.2f} ms ({found.ceiling.server:.2f} the two clients,"
        f" {found.ceiling.postgres:.2f} Postgres).",
        "",
        f"Bytes on disk a record of action logs, landing, ledger and indexes counted: {size:.0f} (wanted ≤ 260:"
        f" {_met(size <= 260)}); one jsonb row each takes {jsonb_size:.0f}, so that is {size / jsonb_size:.2f} of it"
        f" (wanted ≤ 0.25: {_met(size / jsonb_size <= 0.25)}).",
        "",
        *_profile(found),
        "",
        *_memory(found),
        "",
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _costs(found: Findings) -> list[str]:
    rows = []
    for work, (most, times, original) in TARGETS.items():
        ours, base = found.ours[work], found.base[work]
        against = original / ours.total
        rows.append(
            [
                f"{work} ({found.sizes[work] / 1000:.0f} kB)",
                f"{ours.total:.2f}",
                f"{ours.server:.2f} + {ours.postgres:.2f}",
                f"{ours.per_request(ours.standby_cpu):.2f}",
                f"{found.alone[work].total:.2f}",
                f"≤ {most}: {_met(ours.total <= most)}",
                f"{base.total:.1f}",
                f"{base.total / ours.total:.1f}×",
                f"{against:.0f}× (≥ {times}×: {_met(against >= times)})",
            ]
        )
    head = ["work (body)", "CPU, ms", "server + Postgres", "standby besides", "without a standby", "wanted",
        "stand-in, ms", "stand-in ÷ ours", "original ÷ ours"]  # fmt: skip
    return _table(head, rows)


def _times(found: Findings) -> list[str]:
    rows = []
    for work in TARGETS:
        ours, base = found.ours[work], found.base[work]
        rows.append(
            [work, f"{ours.rate:.0f}", *(f"{ours.quantile(part):.1f}" for part in (0.5, 0.99)), f"{base.rate:.0f}",
             f"{base.quantile(0.5):.1f}", f"{ours.requests}"]
        )  # fmt: skip
    head = [
        "work",
        "requests/s",
        "p50, ms",
        "p99, ms",
        "stand-in: requests/s",
        "p50, ms",
        "requests measured",
    ]
    return _table(head, rows)


def _profile(found: Findings) -> list[str]:
    works = list(TARGETS)
    steps = list(dict.fromkeys(step for work in works for step in found.steps[work]))
    rows = [[step, *(f"{found.steps[work].get(step, 0.0):.3f}" for work in works)] for step in steps]
    whole = {work: sum(found.steps[work].values()) for work in works}
    rows.append(["**the application, one request at a time**", *(f"**{whole[work]:.2f}**" for work in works)])
    server = {work: found.ours[work].server for work in works}
    rows.append(
        ["the HTTP server, and the price of load", *(f"{server[work] - whole[work]:.2f}" for work in works)]
    )
    rows.append(["**the server under load**", *(f"**{server[work]:.2f}**" for work in works)])
    rows.append(["Postgres under load", *(f"{found.ours[work].postgres:.2f}" for work in works)])
    return [
        "## Where the time goes",
        "",
        "Milliseconds of CPU a request. The steps were timed in one thread without a server around the application, one"
        " request after the other; the loaded server does the same steps on cores that it shares"
        " with Postgres, its standby and the clients, where each takes longer (caches that others have filled"
        " meanwhile). The exchange with Postgres is the"
        " client's part: sending, being woken, receiving.",
        "",
        *_table(["step", *works], rows),
    ]


def _workers(found: Findings) -> str:
    number = len(found.memory[0][1])
    return "one process" if number == 1 else f"{number} processes"


def _memory(found: Findings) -> list[str]:
    rows = [[f"{done:,}", *(f"{size:.1f}" for size in sizes)] for done, sizes in found.memory]
    workers = len(found.memory[0][1])
    return [
        "## Memory",
        "",
        "Resident megabytes of each worker after so many further requests (known and new action logs, structures both"
        " unchanged and changed, workloads; small ones, so that there are many).",
        "",
        *_table(["requests", *(f"worker {number + 1}" for number in range(workers))], rows),
    ]
