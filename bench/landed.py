"""Servers of a measurement's own, and the same records on them twice: as landed requests, and stored one a row."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil  # type: ignore[import-untyped]
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

RECORDS_A_LANDING = 100
TRANSACTION_RECORDS = 20_000
encode = msgspec.json.Encoder().encode
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "256MB", "max_wal_size": "8GB", "wal_level": "replica", "max_wal_senders": 8,
    "hot_standby": "on", "hot_standby_feedback": "on", "wal_receiver_status_interval": "1s",
    "synchronous_commit": "off", "timezone": "UTC", "max_slot_wal_keep_size": "16GB",
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


def cpu_seconds(cluster: Cluster) -> float:
    """What a server has used so far, its ended backends included."""
    postmaster = psutil.Process(int((cluster.data / "postmaster.pid").read_text().split()[0]))
    times = postmaster.cpu_times()
    used = times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children():
        try:
            times = child.cpu_times()
            used += times.user + times.system
        except psutil.NoSuchProcess:  # it has ended since: its parent will tell next time
            continue
    return float(used)


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


def prepare(primary: Cluster) -> None:
    """The table of the bare way: raw's columns, one row a record."""
    with psycopg.connect(primary.dsn("collector", "fuel_admin")) as connection:
        connection.execute(
            "create table collector.bare (landing_id uuid, position integer, load_id bigint, installation_key uuid,"
            " received_at timestamptz, tier smallint, record jsonb)"
        )
        connection.execute("grant select on collector.bare to fuel_extract")


def land(primary: Cluster, numbers: range) -> None:
    """These records, 100 a landed request of one node, and the same (without the node's uid) one a row."""
    compressor = zstandard.ZstdCompressor(level=1)
    with psycopg.connect(primary.dsn("collector", "fuel_admin"), autocommit=True) as connection:
        for start in range(numbers.start, numbers.stop, TRANSACTION_RECORDS):
            part = range(start, min(start + TRANSACTION_RECORDS, numbers.stop))
            with connection.transaction():
                _land_part(connection, compressor, part)
        connection.execute("vacuum analyze")


def _land_part(
    connection: psycopg.Connection[Any], compressor: zstandard.ZstdCompressor, numbers: range
) -> None:
    rows: list[bytes] = []
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy collector.landing (landing_id, node, uid, kind, records, payload_bytes, payload) from stdin"
        ) as copy,
    ):
        for start in range(numbers.start, numbers.stop, RECORDS_A_LANDING):
            part = range(start, min(start + RECORDS_A_LANDING, numbers.stop))
            uid, landing_id = f"bench-node-{start // RECORDS_A_LANDING % 5000:06}", uuid.uuid4()
            texts = [encode({"external_id": n, "body": body(n)}) for n in part]
            member = encode({"master_node_uid": uid})[:-1]
            document = b"[%s]" % b",".join(b"%s,%s" % (member, text[1:]) for text in texts)
            payload = compressor.compress(document)
            copy.write_row((landing_id, node_id(uid), uid, "action_logs", len(part), len(document), payload))
            # The texts have neither backslashes nor tabs, so they are COPY's text format as they are.
            rows += [
                b"%b\t%d\t0\t%b\tnow\t0\t%b\n"
                % (str(landing_id).encode(), position, str(node_id(uid)).encode(), text)
                for position, text in enumerate(texts)
            ]
    with connection.cursor() as cursor, cursor.copy("copy collector.bare from stdin") as copy:
        copy.write(b"".join(rows))


def wait_replayed(primary: Cluster, standby: Cluster) -> None:
    """Until the standby has replayed everything."""
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        (lsn,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        while not connection.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone()[0]:  # type: ignore[index]
            time.sleep(0.1)
