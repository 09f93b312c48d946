"""Extraction against a bare binary COPY of the same records, in one run on the same servers.

Usage: ``python -m bench.warehouse [records]`` (default 1,000,000). Writes docs/benchmarks/warehouse-extract.md.
The bare COPY reads a table of raw's shape with one row a record on the standby and copies it into a table with
raw's indexes.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import zstandard

from fuel_stat import migrations
from fuel_stat.identity import node_id
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
from fuel_stat.postgres.roles import ANALYTIC_ROLES
from warehouse.extract import Options, run_extract

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "warehouse-extract.md"
RECORDS_A_LANDING = 100
PEPPER = bytes(range(32))
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "256MB", "max_wal_size": "4GB", "wal_level": "replica", "max_wal_senders": 8,
    "hot_standby": "on", "synchronous_commit": "off", "timezone": "UTC", "max_slot_wal_keep_size": "8GB",
}  # fmt: skip


@contextmanager
def servers() -> Iterator[tuple[Cluster, Cluster, Cluster]]:
    """A primary, its standby and an analytic server in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="fuel-stat-bench-"))
    folder.chmod(0o755)
    user = server_user()
    if user:
        user.own(folder)
    binaries = reachable_binaries(find_binaries(os.environ.get("FUEL_STAT_PG_BIN")), user, folder)
    password = "bench-" + secrets.token_hex(8)
    made = []
    for name, roles in (
        ("primary", COLLECTOR_ROLES),
        ("standby", COLLECTOR_ROLES),
        ("analytic", ANALYTIC_ROLES),
    ):
        passwords = dict.fromkeys(roles, password)
        made.append(Cluster(name, folder / name, free_port(), binaries, password, user, passwords))
    primary, standby, analytic = made
    try:
        for cluster, database, owner in (
            (primary, "collector", "fuel_admin"),
            (analytic, "analytic", "fuel_warehouse"),
        ):
            cluster.initialise(SETTINGS)
            cluster.start(tied=True)
            ensure_roles(cluster.dsn("postgres"), cluster.passwords)
            ensure_database(cluster.dsn("postgres"), database, owner)
            migrations.upgrade(cluster.dsn(database), database)  # type: ignore[arg-type]
        make_standby(primary, standby)
        standby.start(tied=True)
        yield primary, standby, analytic
    finally:
        for cluster in reversed(made):
            if cluster.is_running():
                cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def body(number: int) -> dict[str, Any]:
    """An action log of about 0.9 kB, as nodes send them on average."""
    return {
        "id": number, "actor_id": f"{number % 97:040x}", "action_group": "cluster_changes", "action_name": "deploy",
        "action_type": "nailgun_task", "start_timestamp": f"2026-11-{number % 22 + 1:02}T10:00:00.{number % 999983:06}",
        "end_timestamp": f"2026-11-{number % 22 + 1:02}T10:05:00.{number % 999979:06}", "cluster_id": number % 7,
        "task_uuid": f"{number:032x}", "is_sent": False,
        "additional_info": {
            "parent_task_id": None, "subtasks_ids": list(range(number % 5)), "operation": "deploy",
            "nodes_from_resp": list(range(20)), "ended_with_status": "ready" if number % 9 else "error",
            "message": "Deployment of environment is done. " + f"Node {number % 31} has finished. " * 12,
            "output": None,
        },
    }  # fmt: skip


def land(primary: Cluster, records: int) -> None:
    """The same records twice: as landed requests, and stored one a row for the bare COPY."""
    compressor = zstandard.ZstdCompressor(level=1)
    with psycopg.connect(primary.dsn("collector", "fuel_admin"), autocommit=True) as connection:
        connection.execute(
            "create table collector.bare (landing_id uuid, position integer, load_id bigint, installation_key uuid,"
            " received_at timestamptz, tier smallint, record jsonb)"
        )
        connection.execute("grant select on collector.bare to fuel_extract")
        for start in range(0, records, 20_000):
            with connection.transaction():
                _land_part(connection, compressor, range(start, min(start + 20_000, records)))
        connection.execute("vacuum analyze")


def _land_part(connection: psycopg.Connection[Any], compressor: Any, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, RECORDS_A_LANDING):
        part = range(start, min(start + RECORDS_A_LANDING, numbers.stop))
        uid = f"bench-node-{start // RECORDS_A_LANDING % 5000:06}"
        document = [{"master_node_uid": uid, "external_id": n, "body": body(n)} for n in part]
        payload = json.dumps(document).encode()
        landing_id = connection.execute(
            "insert into collector.landing (node, uid, kind, records, payload_bytes, payload)"
            " values (%s, %s, 'action_logs', %s, %s, %s) returning landing_id",
            (node_id(uid), uid, len(part), len(payload), compressor.compress(payload)),
        ).fetchone()
        connection.execute(
            "insert into collector.bare select %s, ordinality - 1, 0, %s, now(), 0, value - 'master_node_uid'"
            " from jsonb_array_elements(%s::jsonb) with ordinality",
            (landing_id[0], node_id(uid), payload.decode()),  # type: ignore[index]
        )


def bare_copy(standby: Cluster, analytic: Cluster) -> float:
    """Seconds of ``COPY (select …) to stdout | COPY … from stdin``, binary, in one process."""
    with (
        psycopg.connect(standby.dsn("collector", "fuel_extract")) as source,
        psycopg.connect(analytic.dsn("analytic", "fuel_warehouse")) as target,
    ):
        target.execute("create table build.bare (like raw.action_logs including indexes)")
        begun = time.monotonic()
        with (
            source.cursor() as reader,
            target.cursor() as writer,
            reader.copy("copy (select * from collector.bare) to stdout (format binary)") as rows,
            writer.copy("copy build.bare from stdin (format binary)") as sink,
        ):
            for data in rows:
                sink.write(data)
        target.commit()
        return time.monotonic() - begun


def wait(primary: Cluster, standby: Cluster) -> None:
    """Until the standby has replayed everything."""
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        (lsn,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        while not connection.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone()[0]:  # type: ignore[index]
            time.sleep(0.1)


def primary_work(primary: Cluster) -> int:
    """Blocks that the primary has read or hit for the collector's database."""
    with psycopg.connect(primary.dsn("postgres")) as connection:
        row = connection.execute(
            "select blks_hit + blks_read from pg_stat_database where datname = 'collector'"
        ).fetchone()
    return int(row[0]) if row else 0


def main(records: int) -> None:
    """Measure and write the page."""
    with servers() as (primary, standby, analytic):
        land(primary, records)
        wait(primary, standby)
        base = bare_copy(standby, analytic)
        before, memory_before = primary_work(primary), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        report = run_extract(
            standby.dsn("collector", "fuel_extract"), analytic.dsn("analytic", "fuel_warehouse"), PEPPER,
            options=Options(),
        )  # fmt: skip
        seconds = time.monotonic() - begun
        assert report.records == records
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work = primary_work(primary) - before
        version = ".".join(map(str, primary.binaries.version))
    lines = [
        "# Extraction: landed requests to raw",
        "",
        f"{records:,} action logs, {RECORDS_A_LANDING} a landed request, Postgres {version}, Python"
        f" {platform.python_version()}, {os.cpu_count()} cores. Written by"
        " `make bench-warehouse`; both in one run, so quote the ratio.",
        "",
        "| way | seconds | records/s | ratio |",
        "|---|---:|---:|---:|",
        f"| bare binary COPY of one row a record | {base:.1f} | {records / base:,.0f} | 1.00 |",
        f"| extraction (expansion, pseudonyms, seals, windows) | {seconds:.1f} | {records / seconds:,.0f}"
        f" | {base / seconds:.2f} |",
        "",
        f"Peak memory of the process: {memory / 1024:.0f} MB, of which"
        f" {(memory - memory_before) / 1024:.0f} MB were added by the extraction, in"
        f" {len(report.load_ids)} loads. Blocks that the primary touched meanwhile: {work}.",
    ]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
