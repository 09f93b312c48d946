"""What a request costs the collector: `make bench-ingest` writes docs/benchmarks/ingest.md.

Everything is on: redaction, quotas, metrics, logs, fsync, the standby streaming. The collector, a stand-in for the
original's way and the COPY ceiling take turns in short rounds, so that whatever else the machine does meets all alike.
CPU is that of all processes of the server and of Postgres (primary; the standby apart), not of the clients.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psycopg

from bench.ingest import load
from fuel_stat import migrations
from fuel_stat.postgres import (
    COLLECTOR_ROLES,
    Cluster,
    ensure_database,
    ensure_roles,
    find_binaries,
    free_port,
    make_standby,
    server_user,
)
from fuel_stat.postgres.owner import reachable_binaries

REPOSITORY = Path(__file__).resolve().parents[2]
REPORT = REPOSITORY / "docs" / "benchmarks" / "ingest.md"
#: work -> (most ms of CPU, least times better than the original measured alone, that original's ms of CPU)
TARGETS = {
    "100 new action logs": (2.2, 18, 47.0),
    "the same 100 again": (1.5, 18, 30.0),
    "60 kB structure, changed": (2.0, 6, 13.0),
    "60 kB structure, unchanged": (0.6, 20, 13.0),
    "10 workloads, new": (0.9, 8, 7.4),
    "10 workloads, updated": (0.9, 15, 15.0),
}
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "256MB", "max_wal_size": "2GB", "wal_level": "replica", "hot_standby": "on",
    "max_wal_senders": 8, "max_replication_slots": 8, "timezone": "UTC", "log_min_messages": "warning",
}  # fmt: skip


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
    def total(self) -> float:
        """Server and primary, ms a request."""
        return self.per_request(self.server_cpu + self.postgres_cpu)


@dataclass
class Stack:
    """What is running."""

    primary: Cluster
    standby: Cluster
    ours: subprocess.Popen[bytes]
    ours_port: int
    baseline: subprocess.Popen[bytes]
    baseline_port: int

    def pids(self, ours: bool) -> tuple[int, int, int]:
        """Roots of the processes of server, primary and standby."""
        return (self.ours if ours else self.baseline).pid, self.primary.pid or 0, self.standby.pid or 0


@contextlib.contextmanager
def running() -> Iterator[Stack]:
    """Clusters with fsync, the collector and the stand-in, each with two workers of four threads."""
    with contextlib.ExitStack() as closing:
        folder = Path(tempfile.mkdtemp(prefix="fuel-stat-bench-", dir="/tmp"))
        closing.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        user = server_user()
        if user:
            os.chown(folder, user.uid, user.gid)
        binaries = reachable_binaries(find_binaries(), user, folder)
        passwords = dict.fromkeys(COLLECTOR_ROLES, "bench")
        primary, standby = (
            Cluster(name, folder / name, free_port(), binaries, "bench", user, passwords)
            for name in ("primary", "standby")
        )
        primary.initialise(SETTINGS)
        primary.start(tied=True)
        closing.callback(primary.destroy)
        ensure_roles(primary.dsn("postgres"), passwords)
        ensure_database(primary.dsn("postgres"), "collector", "fuel_admin")
        migrations.upgrade(primary.dsn("collector"), "collector")
        make_standby(primary, standby)
        standby.start(tied=True)
        closing.callback(standby.destroy)
        os.environ["BENCH_DSN"] = primary.dsn("collector")
        from bench.ingest.baseline import create_tables  # noqa: PLC0415 - needs the address

        create_tables()
        ports = free_port(), free_port()
        conf = ["-c", str(REPOSITORY / "ingest_api" / "gunicorn_conf.py")]
        environ = {**os.environ, "FUEL_STAT_INGEST_DSN": primary.dsn("collector", "fuel_ingest")}
        # Quotas are counted while measuring, and never reached.
        environ |= {
            f"FUEL_STAT_INGEST_{name}_PER_HOUR": "1000000000"
            for name in ("NODE", "PREFIX", "NEW_NODES", "ALL_NEW_NODES")
        }
        environ["PYTHONPATH"] = str(REPOSITORY)
        servers = []
        for port, module in zip(ports, ("ingest_api.wsgi", "bench.ingest.baseline"), strict=True):
            log = closing.enter_context((folder / f"{module}.log").open("wb"))
            command = [
                sys.executable,
                "-m",
                "gunicorn",
                *conf,
                "--bind",
                f"127.0.0.1:{port}",
                f"{module}:application",
            ]
            server = subprocess.Popen(command, env=environ, stdout=log, stderr=log, cwd=REPOSITORY)
            closing.callback(server.wait)
            closing.callback(server.terminate)
            servers.append(server)
        for port in ports:
            _wait_for(port)
        yield Stack(primary, standby, servers[0], ports[0], servers[1], ports[1])


def _wait_for(port: int) -> None:
    import socket  # noqa: PLC0415

    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("a server did not start")


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


def one_round(stack: Stack, bodies: Bodies, count: int, results: dict[tuple[str, bool], Measured]) -> None:
    """All works at both servers; works that follow from one another use the same requests."""
    bodies.round += 1
    for ours in (True, False):
        who, size = ("ours", count) if ours else ("base", max(20, count // 8))
        new = bodies.of("100 new action logs", size, who)
        structures = bodies.of("structure", size, who)
        # The same node's latest twenty, sent again.
        unchanged = structures[-20:] * (size // 20)
        works = {
            "100 new action logs": new,
            "the same 100 again": new,
            "60 kB structure, changed": structures,
            "60 kB structure, unchanged": unchanged,
            "10 workloads, new": bodies.of("workloads", size, who),
            "10 workloads, updated": bodies.of("workloads", size, who),
        }
        for work, requests in works.items():
            measure(stack, ours, requests, results.setdefault((work, ours), Measured()))


def copy_ceiling(stack: Stack, bodies: Bodies, count: int, into: Measured) -> None:
    """The same records, one jsonb row each, by COPY of 100 from two processes' worth of connections."""
    batches = [
        orjson.loads(body)["action_logs"] for _, _, body in bodies.of("100 new action logs", count, "copy")
    ]
    rows = [
        [(r["master_node_uid"], r["external_id"], orjson.dumps(r["body"]).decode()) for r in b]
        for b in batches
    ]
    dsn = stack.primary.dsn("collector")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create table if not exists bench_copy (uid text, id bigint, body jsonb, primary key (uid, id))"
        )
        connection.execute("truncate bench_copy")

    def work(part: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for batch in rows[part::2]:
                with connection.cursor().copy("copy bench_copy from stdin") as copy:
                    for row in batch:
                        copy.write_row(row)

    before, mine = load.cpu_seconds(stack.primary.pid or 0), time.process_time()
    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(part,)) for part in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    into.seconds += time.perf_counter() - started
    into.server_cpu += time.process_time() - mine
    into.postgres_cpu += load.cpu_seconds(stack.primary.pid or 0) - before
    into.requests += len(batches)


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


def memory_growth(stack: Stack, bodies: Bodies, requests: int) -> tuple[float, float]:
    """Resident megabytes of the larger worker after a warm-up and after ``requests`` more requests."""
    uid = "memory"
    small = [("action_logs", uid, load.action_logs(uid, 1, bodies.dice))]
    small[0] = (
        "action_logs",
        uid,
        orjson.dumps({"action_logs": orjson.loads(small[0][2])["action_logs"][:3]}),
    )

    def check(status: int, content: bytes) -> None:
        assert status == 200, content

    def resident() -> float:
        children = Path(f"/proc/{stack.ours.pid}/task/{stack.ours.pid}/children").read_text().split()
        return max(load.resident_bytes(int(pid)) for pid in children) / 2**20

    load.send_all(stack.ours_port, small * 2000, check)
    before = resident()
    load.send_all(stack.ours_port, small * requests, check)
    return before, resident()


_HEAD = """# What a request costs the collector

Reproduce: `make bench-ingest`. Everything on: redaction, metrics, logs, fsync, standby streaming; each answer after
its commit. CPU is milliseconds a request of all processes of the server and of the primary. The stand-in for the
original's way (standard library JSON, jsonschema, ORM, one commit) runs interleaved in the same run. The last
column compares with the figures that the original measured alone; ratios travel, times do not.

Machine: {cores} cores, Python {python}, eight connections, two workers of four threads.
"""


def report(
    results: dict[tuple[str, bool], Measured],
    ceiling: Measured,
    sizes: tuple[float, float],
    memory: tuple[float, float, int],
) -> str:
    """The page."""
    lines = [
        _HEAD.format(cores=os.cpu_count(), python=platform.python_version()),
        "| work | CPU, server + Postgres | of that Postgres | standby | p50 / p99 ms | requests/s"
        " | stand-in CPU | times better | target | measured original |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for work, (most, times, original) in TARGETS.items():
        ours, base = results[work, True], results[work, False]
        ordered = sorted(ours.times)
        met = "met" if ours.total <= most else "missed"
        cells = [
            work,
            f"{ours.total:.2f}",
            f"{ours.per_request(ours.postgres_cpu):.2f}",
            f"{ours.per_request(ours.standby_cpu):.2f}",
            f"{statistics.median(ordered):.1f} / {ordered[int(len(ordered) * 0.99)]:.1f}",
            f"{ours.requests / ours.seconds:.0f}",
            f"{base.total:.1f}",
            f"{base.total / ours.total:.1f}×",
            f"≤ {most} ms: {met}",
            f"{original / ours.total:.0f}× (wanted {times}×)",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"COPY ceiling: 100 of the same records, one jsonb row each, cost {ceiling.total:.2f} ms"
        " (client and Postgres).",
        f"Bytes on disk a record of action logs, ledger and indexes counted: {sizes[0]:.0f}"
        f" (one jsonb row each: {sizes[1]:.0f}, ratio {sizes[0] / sizes[1]:.2f}).",
        f"Memory of a worker: {memory[0]:.1f} MB after warm-up,"
        f" {memory[1]:.1f} MB after {memory[2]} more requests.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run all rounds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=400, help="a work and round")
    parser.add_argument("--memory-requests", type=int, default=20_000)
    parser.add_argument("--print-only", action="store_true")
    chosen = parser.parse_args()
    results: dict[tuple[str, bool], Measured] = {}
    ceiling, bodies = Measured(), Bodies()
    with running() as stack:
        one_round(stack, bodies, 40, {})  # warm-up: caches, plans, first contacts
        for number in range(chosen.rounds):
            one_round(stack, bodies, chosen.requests, results)
            copy_ceiling(stack, bodies, chosen.requests, ceiling)
            print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr)
        sizes = bytes_a_record(stack)
        memory = (*memory_growth(stack, bodies, chosen.memory_requests), chosen.memory_requests)
    page = report(results, ceiling, sizes, memory)
    print(page)
    if not chosen.print_only:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(page)


if __name__ == "__main__":
    main()
