"""Extraction against a bare binary COPY of the same records, in one run on the same servers.

Usage: ``python -m bench.warehouse [records]`` (default 1,000,000). Writes docs/benchmarks/warehouse-extract.md. The
ways take turns, each in a process of its own, into tables with raw's indexes that are empty before.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import structlog

from bench.landed import RECORDS_A_LANDING, cpu_seconds, land, prepare, servers, wait_replayed
from bench.warehouse_primary import PEPPER, compare
from bench.warehouse_primary import page as primary_page
from fuel_stat.postgres import Cluster
from warehouse.drift import scan_drift
from warehouse.extract import Options, run_extract

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "warehouse-extract.md"
ROUNDS = 2
SMALL_BACKLOG = 100_000
BUFFER_BYTES = 256 * 1024
DRIFT_SECONDS = 5.0


@dataclass(frozen=True)
class Measured:
    """One way, once: wall-clock seconds; CPU seconds of the process and of both servers; its peak memory in MB."""

    seconds: float
    client: float
    peak: float
    source: float = 0.0
    target: float = 0.0


def bare_copy(source_dsn: str, target_dsn: str) -> None:
    """``COPY (select …) to stdout | COPY … from stdin``, binary, in one process, with libpq called in the way that
    costs least: blocking, rows joined into large buffers."""
    with psycopg.connect(source_dsn) as source, psycopg.connect(target_dsn) as target:
        reader, writer = source.pgconn, target.pgconn
        reader.exec_(b"copy (select * from collector.bare) to stdout (format binary)")
        writer.exec_(b"begin")
        writer.exec_(b"copy build.bare from stdin (format binary)")
        reader.nonblocking = writer.nonblocking = 0
        parts: list[bytes] = []
        size = 0
        while True:
            length, data = reader.get_copy_data(0)
            if length < 0:
                break
            parts.append(bytes(data))
            size += length
            if size >= BUFFER_BYTES:
                writer.put_copy_data(b"".join(parts))
                parts.clear()
                size = 0
        writer.put_copy_data(b"".join(parts))
        writer.put_copy_end()
        for end in (writer, reader):
            while end.get_result():
                pass
        target.commit()


def extraction(source_dsn: str, target_dsn: str) -> None:
    """The product's way; the scan for drift is measured by itself."""
    run_extract(source_dsn, target_dsn, PEPPER, options=Options(drift_seconds=0))


def _child(work: Callable[[str, str], None], source: str, target: str, answer: Any) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    begun, cpu = time.monotonic(), time.process_time()
    work(source, target)
    seconds, client = time.monotonic() - begun, time.process_time() - cpu
    answer.put(Measured(seconds, client, _peak()))


def _peak() -> float:
    """This process' largest resident size in MB; getrusage's would be that of the parent where that was larger."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) / 1024


def measure(work: Callable[[str, str], None], standby: Cluster, analytic: Cluster, records: int) -> Measured:
    """One way in a process of its own, into empty tables; the number of rows is looked at."""
    target = analytic.dsn("analytic", "fuel_warehouse")
    _empty(analytic)
    source_before, target_before = cpu_seconds(standby), cpu_seconds(analytic)
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    child = context.Process(
        target=_child, args=(work, standby.dsn("collector", "fuel_extract"), target, answer)
    )
    child.start()
    while child.is_alive() and answer.empty():
        child.join(0.05)
    found: Measured = answer.get(timeout=1)
    child.join()
    table = "build.bare" if work is bare_copy else "raw.action_logs"
    with psycopg.connect(target) as connection:
        assert connection.execute(f"select count(*) from {table}").fetchone() == (records,)
    return Measured(
        found.seconds, found.client, found.peak,
        cpu_seconds(standby) - source_before, cpu_seconds(analytic) - target_before,
    )  # fmt: skip


def _empty(analytic: Cluster) -> None:
    with psycopg.connect(analytic.dsn("analytic", "fuel_warehouse"), autocommit=True) as connection:
        connection.execute("truncate raw.action_logs, raw.contact, ops.load, ops.load_window, ops.raw_seal")
        connection.execute("drop table if exists build.bare")
        connection.execute("create table build.bare (like raw.action_logs including indexes)")
    with psycopg.connect(analytic.dsn("analytic"), autocommit=True) as connection:
        connection.execute("checkpoint")


def main(records: int) -> None:
    """Measure and write the page."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with servers() as (primary, standby, analytic):
        prepare(primary)
        small = min(records, SMALL_BACKLOG)
        land(primary, range(small))
        wait_replayed(primary, standby)
        little = measure(extraction, standby, analytic, small)
        land(primary, range(small, records))
        wait_replayed(primary, standby)
        bare, ours = [], []
        load = os.getloadavg()[0]
        for _ in range(ROUNDS):
            bare.append(measure(bare_copy, standby, analytic, records))
            ours.append(measure(extraction, standby, analytic, records))
        begun = time.monotonic()
        drift = scan_drift(analytic.dsn("analytic", "fuel_warehouse"), DRIFT_SECONDS)
        drift_rate = drift.records / (time.monotonic() - begun)
        loads = compare(primary, standby, analytic)
        version = ".".join(map(str, primary.binaries.version))
    page = _page(records, version, load, bare, ours)
    page += [
        "",
        f"Peak memory of the extracting process: {little.peak:.0f} MB with a backlog of {small:,} records,"
        f" {max(m.peak for m in ours):.0f} MB with {records:,} (the interpreter and its libraries included).",
        "",
        f"Looking through the loaded records for new paths afterwards: {drift_rate:,.0f} records/s; a run does a few"
        " seconds of it and leaves the rest to the next.",
        "",
        *primary_page(*loads),
    ]
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(page) + "\n")
    print("\n".join(page))


def _page(records: int, version: str, load: float, bare: list[Measured], ours: list[Measured]) -> list[str]:
    rows = []
    for number, pair in enumerate(zip(bare, ours, strict=True), start=1):
        for name, found in zip(("bare COPY", "extraction"), pair, strict=True):
            rows.append(
                f"| {number} | {name} | {found.seconds:.1f} | {records / found.seconds:,.0f} | {found.client:.1f}"
                f" | {found.source:.1f} | {found.target:.1f} | {pair[0].seconds / found.seconds:.2f} |"
            )
    ratio = statistics.mean(b.seconds / o.seconds for b, o in zip(bare, ours, strict=True))
    return [
        "# Extraction: landed requests to raw",
        "",
        f"Written by `make bench-warehouse`. {records:,} action logs of about 0.9 kB, {RECORDS_A_LANDING} a landed"
        f" request; Postgres {version}, Python {platform.python_version()}, {os.cpu_count()} cores for three servers"
        f" and the client, load {load:.1f} before. The bare way copies the same records, stored one a row, into a"
        " table with raw's columns and indexes; extraction expands the requests, replaces uids by pseudonyms, writes"
        " seals and windows, and commits chunk by chunk, two chunks at a time (threads with a connection of their own"
        " to both ends). Both are one process and take turns: quote the ratio.",
        "",
        "| round | way | seconds | records/s | client CPU s | source CPU s | target CPU s | ratio |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        f"Mean ratio of records/s: **{ratio:.2f}** (wanted: at least 1; {'met' if ratio >= 1 else 'missed'}).",
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
