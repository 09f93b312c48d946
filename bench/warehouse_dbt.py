"""What a build costs, and what history costs a run on the same new data: `python -m bench.warehouse_dbt`.

For each amount of history a fresh database is filled with made-up records and built in full; then the same amount of
new data arrives and a run covers it. Time is that of the whole dbt command; CPU that of dbt and the server's sessions.
Writes docs/benchmarks/warehouse-dbt.md.
"""

# ruff: noqa: E501 - the made-up records are dense

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg

from fuel_stat import migrations
from fuel_stat.postgres import Cluster, ensure_database, ensure_roles, find_binaries, free_port, server_user
from fuel_stat.postgres.owner import reachable_binaries
from fuel_stat.postgres.roles import ANALYTIC_ROLES

REPOSITORY = Path(__file__).resolve().parents[1]
REPORT = REPOSITORY / "docs" / "benchmarks" / "warehouse-dbt.md"
INSTALLATIONS = 2000
DAYS = 90
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "256MB", "work_mem": "32MB", "maintenance_work_mem": "128MB", "max_wal_size": "4GB",
    "synchronous_commit": "off", "timezone": "UTC", "max_connections": 30,
}  # fmt: skip

# One part of history: :load, its first day :first, days :days, :actions and :workloads. Ids grow with the load.
RECORDS = """
insert into ops.load (load_id, reason) overriding system value values (%(load)s, 'bench');
insert into ops.pinned_load values (%(load)s, true, 0);
insert into raw.contact
select md5(i::text)::uuid, %(first)s::date + d, 0, (%(first)s::date + d)::timestamptz + interval '8 hours', %(load)s
from generate_series(1, %(installations)s) as i, generate_series(0, %(days)s - 1) as d where (i + d) %% 3 > 0;
insert into raw.action_logs
select gen_random_uuid(), 0, %(load)s, md5((n %% %(installations)s + 1)::text)::uuid, at + interval '5 minutes', 0,
    jsonb_build_object('external_id', %(load)s::bigint * 1000000 + n, 'body', jsonb_build_object(
        'action_type', case when n %% 2 = 0 then 'nailgun_task' else 'http_request' end, 'action_group', 'cluster_changes',
        'action_name', (array['deploy', 'provision', 'verify_networks', 'check_networks', 'update', 'dump', 'deployment',
            'cluster_instance', 'cluster_collection', 'settings', 'tasks_instance', 'release'])[n %% 12 + 1],
        'start_timestamp', to_char(at - interval '9 minutes', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        'end_timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US'), 'cluster_id', n %% 3 + 1,
        'actor_id', md5(n::text), 'is_sent', false, 'task_uuid', md5((n + 1)::text), 'additional_info', jsonb_build_object(
            'ended_with_status', case when n %% 5 = 0 then 'error' else 'ready' end, 'operation', 'deploy',
            'parent_task_id', null, 'nodes_from_resp', '[1, 2, 3]'::jsonb, 'message', repeat(md5(n::text), 8),
            'response_data', jsonb_build_object('status', '200 OK'))))
from (select n, %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (%(days)s * n / %(actions)s::float8) as at
    from generate_series(1, %(actions)s) as n) as made;
insert into raw.oswl_stats
select gen_random_uuid(), 0, %(load)s, md5((n * 7 %% %(installations)s + 1)::text)::uuid, at, 0,
    jsonb_build_object('id', %(load)s::bigint * 1000000 + n, 'cluster_id', n %% 3 + 1, 'created_date', at::date,
        'updated_time', '10:00:00', 'resource_type', (array['vm', 'volume', 'tenant'])[n %% 3 + 1],
        'resource_checksum', md5(n::text), 'resource_data', jsonb_build_object('removed', '[]'::jsonb, 'modified', '[]'::jsonb,
        'current', (select jsonb_agg(jsonb_build_object('id', md5((n + r)::text), 'status', 'ACTIVE', 'tenant_id', md5(r::text)))
            from generate_series(1, 5) as r), 'added', jsonb_build_array(jsonb_build_object('id', md5((n + 1)::text), 'time', '9'))))
from (select n, %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (%(days)s * n / %(workloads)s::float8) as at
    from generate_series(1, %(workloads)s) as n) as made;
insert into raw.installation_structure
select gen_random_uuid(), 0, %(load)s, md5(i::text)::uuid,
    %(first)s::timestamp at time zone 'UTC' + interval '1 day' * (v * %(days)s / %(versions)s::float8) + interval '1 second' * i, 0,
    jsonb_build_object('fuel_release', jsonb_build_object('release', (array['7.0', '8.0', '9.0'])[i %% 3 + 1]),
        'fuel_packages', '[]'::jsonb, 'clusters_num', 3, 'clusters', (select jsonb_agg(jsonb_build_object('id', c,
            'status', (array['operational', 'error', 'new'])[(c + v + %(load)s) %% 3 + 1], 'nodes_num', 2,
            'release', jsonb_build_object('os', 'Ubuntu', 'version', 'x'), 'attributes', jsonb_build_object('libvirt_type', 'kvm'),
            'nodes', (select jsonb_agg(jsonb_build_object('id', c * 10 + k, 'roles', '["controller", "cinder"]'::jsonb, 'os', 'ubuntu',
                'meta', jsonb_build_object('system', jsonb_build_object('manufacturer', 'Dell', 'product', 'R' || k),
                'memory', jsonb_build_object('total', 64)))) from generate_series(1, 2) as k)))
            from generate_series(1, 3) as c))
from generate_series(1, %(installations)s) as i, generate_series(0, %(versions)s - 1) as v;
"""


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of a dbt command, and the peak memory of dbt and of all server processes in MB."""

    wall: float
    cpu: float
    dbt_mb: float
    server_mb: float


@contextmanager
def server() -> Iterator[Cluster]:
    """A server of its own, in a folder that its user reaches."""
    folder = Path(tempfile.mkdtemp(prefix="fuel-stat-bench-"))
    folder.chmod(0o755)
    user = server_user()
    if user:
        os.chown(folder, user.uid, user.gid)
    binaries = reachable_binaries(find_binaries(os.environ.get("FUEL_STAT_PG_BIN")), user, folder)
    passwords = dict.fromkeys(ANALYTIC_ROLES, "bench")
    cluster = Cluster("bench", folder / "bench", free_port(), binaries, "bench", user, passwords)
    cluster.initialise(SETTINGS)
    cluster.start(tied=True)
    try:
        ensure_roles(cluster.dsn("postgres"), cluster.passwords)
        yield cluster
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def land(dsn: str, load: int, first: str, days: int, actions: int, workloads: int, versions: int) -> None:
    """One load of records over ``days`` days from ``first``; only it is new."""
    values = {
        "load": load, "first": first, "days": days, "actions": actions, "workloads": workloads,
        "versions": versions, "installations": INSTALLATIONS,
    }  # fmt: skip
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("update ops.pinned_load set is_new = false")
        connection.execute(RECORDS, values)
        connection.execute("vacuum (analyze)")


def resident(pids: list[int]) -> float:
    """Memory of processes in MB, shared pages counted once (USS where the system tells it)."""
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().uss
        except psutil.Error:
            continue
    return total / 1e6


def dbt(cluster: Cluster, database: str, target: Path, *arguments: str) -> Cost:
    """Run dbt and measure it and the server meanwhile."""
    environment = {
        **os.environ, "FUEL_STAT_DBT_HOST": "127.0.0.1", "FUEL_STAT_DBT_PORT": str(cluster.port),
        "FUEL_STAT_DBT_USER": "fuel_warehouse", "FUEL_STAT_DBT_PASSWORD": "bench", "FUEL_STAT_DBT_DBNAME": database,
    }  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *arguments,
        "--exclude-resource-types",
        "unit_test",
    ]
    command += ["--profiles-dir", "dbt_project", "--target-path", str(target), "--log-path", str(target)]
    postmaster = psutil.Process(cluster.pid or 0)
    before = postmaster.cpu_times()
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    watched = psutil.Process(process.pid)
    peak = {"dbt": 0.0, "server": 0.0, "dbt_cpu": 0.0}

    def watch() -> None:
        while process.poll() is None:
            peak["dbt"] = max(peak["dbt"], resident([process.pid]))
            peak["server"] = max(peak["server"], resident([c.pid for c in postmaster.children()]))
            try:
                times = watched.cpu_times()
                peak["dbt_cpu"] = times.user + times.system
            except psutil.Error:
                pass
            time.sleep(0.5)

    thread = threading.Thread(target=watch)
    thread.start()
    said = process.communicate()[0]
    thread.join()
    if process.returncode:
        raise SystemExit(said[-4000:])
    wall = time.monotonic() - started
    after = postmaster.cpu_times()
    # Sessions that ended meanwhile are the postmaster's waited-for children.
    sessions = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, peak["dbt_cpu"] + sessions, peak["dbt"], peak["server"])


def measure(cluster: Cluster, history: int, unit: int) -> tuple[Cost, Cost]:
    """Full build over ``history`` units of history, then a run on one day of new data."""
    database = f"bench_{history}"
    ensure_database(cluster.dsn("postgres"), database, "fuel_warehouse")
    migrations.upgrade(cluster.dsn(database), "analytic")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        dsn = cluster.dsn(database)
        first = "2023-01-01" if history > 3 else "2024-06-01"
        land(dsn, 1, first, DAYS * history, unit * history, unit // 50 * history, 2 * history)
        full = dbt(cluster, database, target, "build", "--full-refresh")
        day = psycopg.connect(dsn).execute("select max(day) + 1 from raw.contact").fetchone()
        land(dsn, 2, str(day[0]), 1, unit // DAYS, unit // 50 // DAYS, 1)  # type: ignore[index]
        # Twice, the second one counts: the first pays for parsing after the full build.
        dbt(cluster, database, target, "build")
        run = dbt(cluster, database, target, "build")
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {database} with (force)")
    return full, run


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unit", type=int, default=100_000, help="action logs in one unit of history")
    parser.add_argument("--history", type=int, nargs="*", default=[1, 3, 10])
    options = parser.parse_args()
    costs = {}
    with server() as cluster:
        for history in options.history:
            costs[history] = measure(cluster, history, options.unit)
            print(json.dumps({str(history): [vars(c) for c in costs[history]]}), flush=True)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page(costs, options.unit))


def page(costs: dict[int, tuple[Cost, Cost]], unit: int) -> str:
    """The report."""
    base = next(iter(costs.values()))[1]
    lines = [
        "# What a build of the marts costs",
        "",
        "Written by `python -m bench.warehouse_dbt`. Read the ratios: the machine (2 cores) was not idle.",
        f"{INSTALLATIONS} installations; one unit of history is {DAYS} days, {unit:,} action logs, {unit // 50:,} workload records, two",
        f"structures an installation. The new data is one day: {unit // DAYS:,} action logs, {unit // 50 // DAYS} workload records, a structure and",
        "a contact of each installation. Every command includes all data tests. CPU: dbt and its database sessions.",
        "",
        "| history | full build s | CPU s | dbt MB | server MB | run on new data s | CPU s | ratio of time | ratio of CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for history, (full, run) in costs.items():
        lines.append(
            f"| {history}× | {full.wall:.0f} | {full.cpu:.0f} | {full.dbt_mb:.0f} | {full.server_mb:.0f} | {run.wall:.1f} | {run.cpu:.1f}"
            f" | {run.wall / base.wall:.2f} | {run.cpu / base.cpu:.2f} |"
        )
    last = max(costs)
    ratio = costs[last][1].cpu / base.cpu
    lines += [
        "",
        f"Target: with ten times the history a run costs at most 1.3 times as much; here {ratio:.2f} in CPU at {last}×.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
