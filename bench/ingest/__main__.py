"""What a request costs the collector: `make bench-ingest` writes docs/benchmarks/ingest.md.

The collector, a stand-in for the original's way and the COPY ceiling take turns in short rounds, so that whatever else
the machine does meets all alike. Then the standby is stopped, and the collector measured once more.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psycopg

from bench.ingest import load
from bench.ingest.ceiling import copy_ceiling
from bench.ingest.page import Findings, Measured, render
from bench.ingest.running import REPOSITORY, Stack, running
from bench.ingest.stages import InProcess

REPORT = REPOSITORY / "docs" / "benchmarks" / "ingest.md"
#: the stand-in is sent fewer requests: it takes ten times as long
STAND_IN_SHARE = 10


class Bodies:
    """The requests of each work, new ones every round."""

    def __init__(self) -> None:
        self.dice = random.Random(4)
        self.round = 0

    def of(self, work: str, count: int, who: str) -> list[load.Request]:
        """``count`` requests; ``who`` keeps the nodes of the two servers apart."""
        uids = [f"{who}-{self.round}-{number}" for number in range(20)]
        made: list[load.Request] = []
        for number in range(count):
            uid, place = uids[number % 20], number // 20
            if "action logs" in work or "again" in work:
                made.append(("action_logs", uid, load.action_logs(uid, place * 100 + 1, self.dice)))
            elif "structure" in work:
                made.append(("installation_structure", uid, load.structure(uid, place)))
            else:
                made.append(("oswl_stats", uid, load.workloads(uid, place * 10, self.dice)))
        return made


def measure(stack: Stack, ours: bool, requests: list[load.Request], into: Measured) -> None:
    """Send the requests and add what they cost."""
    pids = stack.pids(ours)

    def check(status: int, content: bytes) -> None:
        if status not in (200, 201) or orjson.loads(content)["status"] != "ok":
            raise SystemExit(f"answer {status}: {content[:200]!r}")

    before = [load.cpu_seconds(pid) for pid in pids]
    started = time.perf_counter()
    times = load.send_all(stack.ours_port if ours else stack.baseline_port, requests, check)
    into.seconds += time.perf_counter() - started
    time.sleep(0.3)
    after = [load.cpu_seconds(pid) for pid in pids]
    into.server_cpu += after[0] - before[0]
    into.postgres_cpu += after[1] - before[1]
    into.standby_cpu += after[2] - before[2]
    into.requests += len(requests)
    into.times += times


def works_of(bodies: Bodies, count: int, who: str) -> Iterator[tuple[str, list[load.Request]]]:
    """All works; those that follow from one another use the same requests."""
    bodies.round += 1
    new = bodies.of("100 new action logs", count, who)
    yield "100 new action logs", new
    yield "the same 100 again", new
    structures = bodies.of("structure", count, who)
    yield "60 kB structure, changed", structures
    # The same nodes' latest twenty, sent again.
    yield "60 kB structure, unchanged", structures[-20:] * (count // 20)
    yield "10 workloads, new", bodies.of("workloads", count, who)
    yield "10 workloads, updated", bodies.of("workloads", count, who)


def one_round(
    stack: Stack, bodies: Bodies, count: int, ours: bool, into: dict[str, Measured]
) -> dict[str, int]:
    """All works at one server; returns the bytes of a body of each work."""
    sizes = {}
    for work, requests in works_of(bodies, count, "ours" if ours else "base"):
        measure(stack, ours, requests, into.setdefault(work, Measured()))
        sizes[work] = len(requests[-1][2])
    return sizes


def bytes_a_record(stack: Stack) -> tuple[float, float]:
    """Bytes on disk a record of action logs: landing, ledger and indexes; and one jsonb row each (by COPY)."""
    sizes = """
        select (select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits as i
                where i.inhparent = 'collector.landing'::regclass) + pg_total_relation_size('collector.ledger_bitmap'),
               (select sum(coalesce(cardinality(taken), records)) from collector.landing where kind = 'action_logs'),
               (select sum(octet_length(payload)) from collector.landing where kind <> 'action_logs'),
               pg_total_relation_size('bench_copy')::float / greatest((select count(*) from bench_copy), 1)"""
    with psycopg.connect(stack.primary.dsn("collector"), autocommit=True) as connection:
        connection.execute("vacuum analyze")
        row = connection.execute(sizes).fetchone() or (0, 1, 0, 0)
    return (float(row[0]) - float(row[2])) / float(row[1]), float(row[3])


def _small_requests(dice: random.Random) -> Iterator[load.Request]:
    """Small requests of every kind, without end."""
    for number in itertools.count():
        uid = f"memory-{number % 500}"
        choice = number % 20
        if choice < 12:
            first = 1 if choice < 8 else number * 3
            records = [load.action_log(uid, record, dice) for record in range(first, first + 3)]
            yield "action_logs", uid, orjson.dumps({"action_logs": records})
        elif choice < 18:
            yield "installation_structure", uid, load.structure(uid, 0 if choice < 16 else number, nodes=0)
        else:
            yield "oswl_stats", uid, load.workloads(uid, number * 2, dice, count=2)


def memory_growth(stack: Stack, requests: int) -> list[tuple[int, list[float]]]:
    """Resident megabytes of each worker, after a warm-up and from time to time up to so many requests."""

    def check(status: int, content: bytes) -> None:
        if status not in (200, 201):
            raise SystemExit(f"answer {status}: {content[:200]!r}")

    def resident() -> list[float]:
        children = Path(f"/proc/{stack.ours.pid}/task/{stack.ours.pid}/children").read_text().split()
        return [load.resident_bytes(int(pid)) / 2**20 for pid in children]

    source = _small_requests(random.Random(5))
    found, done = [], 0
    for share in (0.05, 0.25, 0.5, 0.75, 1.0):
        wanted = int(requests * share)
        load.send_all(stack.ours_port, itertools.islice(source, wanted - done), check)
        done = wanted
        found.append((done, resident()))
    return found


def steps_of(stack: Stack, bodies: Bodies, count: int) -> dict[str, dict[str, float]]:
    """The application's steps, by work."""
    application = InProcess(stack.environ)
    for _, requests in works_of(bodies, 20, "steps"):
        application.run(requests)
    return {work: application.run(requests) for work, requests in works_of(bodies, count, "steps")}


def find(rounds: int, requests: int, memory_requests: int) -> Findings:
    """Run everything."""
    ours: dict[str, Measured] = {}
    base: dict[str, Measured] = {}
    alone: dict[str, Measured] = {}
    ceiling, bodies = Measured(), Bodies()
    with running() as stack:
        one_round(stack, bodies, 40, True, {})  # warm-up: caches, plans, first contacts
        one_round(stack, bodies, 20, False, {})
        sizes: dict[str, int] = {}
        mine = os.getpid(), *stack.pids(True), *stack.pids(False)
        busy, own, started = load.busy_seconds(), load.cpu_seconds(*mine), time.perf_counter()
        for number in range(rounds):
            sizes = one_round(stack, bodies, requests, True, ours)
            one_round(stack, bodies, max(20, requests // STAND_IN_SHARE), False, base)
            bodies.round += 1
            copied = bodies.of("100 new action logs", requests // 2, "copy")
            copy_ceiling(stack.primary, [body for _, _, body in copied], ceiling)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
        whole = (time.perf_counter() - started) * (os.cpu_count() or 1)
        others = (load.busy_seconds() - busy - (load.cpu_seconds(*mine) - own)) / whole
        disk = bytes_a_record(stack)
        memory = memory_growth(stack, memory_requests)
        stack.standby.stop()
        for _ in range(max(1, rounds // 2)):
            one_round(stack, bodies, requests, True, alone)
        steps = steps_of(stack, bodies, 200)
        with psycopg.connect(stack.primary.dsn("collector")) as connection:
            row = connection.execute("select split_part(version(), ' ', 2)").fetchone()
        postgres = f"Postgres {row[0] if row else ''}"
    return Findings(ours, alone, base, sizes, ceiling, disk, steps, memory, postgres, max(0.0, others))


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=300, help="a work and round")
    parser.add_argument("--memory-requests", type=int, default=200_000)
    parser.add_argument("--print-only", action="store_true")
    chosen = parser.parse_args()
    page = render(find(chosen.rounds, chosen.requests, chosen.memory_requests))
    print(page)
    if not chosen.print_only:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(page)


if __name__ == "__main__":
    main()
