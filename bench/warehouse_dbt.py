"""What a build costs, and what history costs a run on the same new data: `python -m bench.warehouse_dbt`.

For each amount of history a fresh database is filled with made-up records and built in full; then the same amount of
new data arrives and a run covers it. Time is that of the whole dbt command; CPU that of dbt and the server's sessions.
The server has the settings of the stack's. Writes docs/benchmarks/warehouse-dbt.md; with ``--figures FILE`` what was
measured before, in other runs, stands beside what this run measures.
"""

# ruff: noqa: E501 - the page is text

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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

from bench.made_up_history import INSTALLATIONS, land
from fuel_stat import migrations
from fuel_stat.postgres import Cluster, ensure_database, ensure_roles, find_binaries, free_port, server_user
from fuel_stat.postgres.owner import reachable_binaries
from fuel_stat.postgres.roles import ANALYTIC_ROLES
from fuel_stat.stack.databases import ANALYTIC_SETTINGS

REPOSITORY = Path(__file__).resolve().parents[1]
REPORT = REPOSITORY / "docs" / "benchmarks" / "warehouse-dbt.md"
DAYS = 90
# The amounts, of which --scale takes multiples: they fall on the same 90 days.
SCALE_ACTIONS = 1_000_000
SCALE_WORKLOADS = 20_000
SHOWN_MODELS = 12
TARGET = 1.3
BUSY = "Other work ran on the machine beside the measurement: times say little, CPU says more, and its ratios most."
BUILD = ("build", "--exclude-resource-types", "unit_test")


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of a dbt command, and the peak memory of dbt and of all server processes in MB."""

    wall: float
    cpu: float
    dbt_mb: float
    server_mb: float
    models: dict[str, float] = field(default_factory=dict)


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
    cluster.initialise(ANALYTIC_SETTINGS)
    cluster.start(tied=True)
    try:
        ensure_roles(cluster.dsn("postgres"), cluster.passwords)
        yield cluster
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


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
    command = [str(Path(sys.executable).with_name("dbt")), *arguments]
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
    return Cost(wall, peak["dbt_cpu"] + sessions, peak["dbt"], peak["server"], times_of_models(target))


def times_of_models(target: Path) -> dict[str, float]:
    """Seconds of each model, and of all data tests together, of the run that ended last."""
    found: dict[str, float] = {}
    for result in json.loads((target / "run_results.json").read_text())["results"]:
        kind, _, name = result["unique_id"].split(".")[:3]
        name = name if kind == "model" else f"({kind}s)"
        found[name] = found.get(name, 0.0) + float(result["execution_time"])
    return found


@contextmanager
def database(cluster: Cluster, name: str) -> Iterator[str]:
    """A migrated analytic database, dropped in the end."""
    ensure_database(cluster.dsn("postgres"), name, "fuel_warehouse")
    migrations.upgrade(cluster.dsn(name), "analytic")
    try:
        yield cluster.dsn(name)
    finally:
        with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def measure(cluster: Cluster, history: int, unit: int) -> dict[str, Cost]:
    """Full build over ``history`` units of history, then a run on one day of new data."""
    with database(cluster, f"bench_{history}") as dsn, tempfile.TemporaryDirectory() as folder:
        first = "2023-01-01" if history > 3 else "2024-06-01"
        land(dsn, 1, first, DAYS * history, unit * history, unit // 50 * history, 2 * history)
        full = dbt(cluster, f"bench_{history}", Path(folder), *BUILD, "--full-refresh")
        with psycopg.connect(dsn) as connection:
            day = connection.execute("select max(day) + 1 from raw.contact").fetchone()
        land(dsn, 2, str(day[0]), 1, unit // DAYS, unit // 50 // DAYS, 1)  # type: ignore[index]
        # A build with other arguments parses anew; a pipeline's runs have the same ones.
        dbt(cluster, f"bench_{history}", Path(folder), *BUILD, "--select", "dim_date")
        run = dbt(cluster, f"bench_{history}", Path(folder), *BUILD)
    return {"full": full, "run": run}


def measure_full(cluster: Cluster, scale: int) -> dict[str, Cost]:
    """Full build over ``scale`` times the amounts, all of them within the same 90 days."""
    name = f"bench_full_{scale}"
    with database(cluster, name) as dsn, tempfile.TemporaryDirectory() as folder:
        land(dsn, 1, "2024-06-01", DAYS, SCALE_ACTIONS * scale, SCALE_WORKLOADS * scale, 2)
        return {"full": dbt(cluster, name, Path(folder), *BUILD, "--full-refresh")}


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unit", type=int, default=100_000, help="action logs in one unit of history")
    parser.add_argument("--history", type=int, nargs="*", default=[1, 3, 10], help="units of history")
    parser.add_argument(
        "--scale", type=int, nargs="*", default=[], help="full builds of so many million action logs"
    )
    parser.add_argument("--figures", type=Path, help="a file that keeps what other runs measured")
    parser.add_argument("--busy", action="store_true", help="say that other work ran beside the measurement")
    options = parser.parse_args()
    figures: dict[str, Any] = {"busy": options.busy}
    if options.figures and options.figures.exists():
        figures = json.loads(options.figures.read_text())
    with server() as cluster:
        figures["server"] = psycopg.connect(cluster.dsn("postgres")).info.server_version // 10000
        for kind, amounts in (("history", options.history), ("scale", options.scale)):
            for amount in amounts:
                costs = (
                    measure(cluster, amount, options.unit)
                    if kind == "history"
                    else measure_full(cluster, amount)
                )
                figures.setdefault(kind, {})[str(amount)] = {
                    name: asdict(cost) for name, cost in costs.items()
                }
                print(
                    json.dumps({kind: amount, **{name: asdict(cost) for name, cost in costs.items()}}),
                    flush=True,
                )
                if options.figures:
                    options.figures.write_text(json.dumps(figures))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page(figures, options.unit))


def page(figures: dict[str, Any], unit: int) -> str:
    """The report."""
    history = dict(sorted(figures.get("history", {}).items(), key=lambda item: int(item[0])))
    base = next(iter(history.values()))["run"]
    lines = [
        "# What a build of the marts costs",
        "",
        f"Written by `python -m bench.warehouse_dbt` (`make bench-warehouse`) on {os.cpu_count()} cores, Postgres {figures['server']} with the stack's settings.",
        f"{INSTALLATIONS:,} installations. Every command is a whole `dbt build` with all data tests, dbt's start included; CPU is that of",
        "dbt and of its database sessions; memory is the peak of dbt, and of all sessions of the server, shared pages not counted.",
        "",
        *([BUSY, ""] if figures["busy"] else []),
        "## The same new data, more history",
        "",
        f"One unit of history is {DAYS} days, {unit:,} action logs, {unit // 50:,} workload records, two structures an installation. The new data is",
        f"one day: {unit // DAYS:,} action logs, {unit // 50 // DAYS} workload records, a structure and a contact of each installation.",
        "",
        "| history | full build s | CPU s | dbt MB | server MB | run on new data s | CPU s | ratio of time | ratio of CPU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for amount, costs in history.items():
        full, run = costs["full"], costs["run"]
        lines.append(
            f"| {amount}× | {full['wall']:.0f} | {full['cpu']:.0f} | {full['dbt_mb']:.0f} | {full['server_mb']:.0f} | {run['wall']:.1f}"
            f" | {run['cpu']:.1f} | {run['wall'] / base['wall']:.2f} | {run['cpu'] / base['cpu']:.2f} |"
        )
    last, longest = list(history.items())[-1]
    wall, cpu = longest["run"]["wall"] / base["wall"], longest["run"]["cpu"] / base["cpu"]
    # Time beside other work is that of the other work.
    met = "met" if (cpu if figures["busy"] else max(wall, cpu)) <= TARGET else "**missed**"
    lines += [
        "",
        f"Target: with ten times the history a run costs at most {TARGET} times as much. At {last}×: {wall:.2f} in time, {cpu:.2f} in CPU: {met}.",
        "",
        "Where a run's time goes (seconds of each model; two run at a time):",
        "",
        "| model | " + " | ".join(f"{amount}×" for amount in history) + " |",
        "|---|" + "---|" * len(history),
    ]
    longest_models = sorted(longest["run"]["models"].items(), key=lambda item: -item[1])[:SHOWN_MODELS]
    for name, _ in longest_models:
        times = " | ".join(f"{costs['run']['models'].get(name, 0.0):.2f}" for costs in history.values())
        lines.append(f"| {name} | {times} |")
    lines += [*full_builds(figures.get("scale", {})), ""]
    return "\n".join(lines)


def full_builds(scales: dict[str, Any]) -> list[str]:
    """The table of full builds over multiples of the amounts."""
    if not scales:
        return []
    lines = [
        "",
        "## Full builds, more data in the same 90 days",
        "",
        f"1× is {SCALE_ACTIONS:,} action logs and {SCALE_WORKLOADS:,} workload records.",
        "",
        "| amount | s | CPU s | dbt MB | server MB | fct_action s | fct_workload_resource s |",
        "|---|---|---|---|---|---|---|",
    ]
    for amount, costs in sorted(scales.items(), key=lambda item: int(item[0])):
        full = costs["full"]
        models = " | ".join(
            f"{full['models'].get(name, 0):.0f}" for name in ("fct_action", "fct_workload_resource")
        )
        lines.append(
            f"| {amount}× | {full['wall']:.0f} | {full['cpu']:.0f} | {full['dbt_mb']:.0f} | {full['server_mb']:.0f} | {models} |"
        )
    return lines


if __name__ == "__main__":
    main()
