"""The COPY ceiling: what the same records cost when nobody checks, redacts or answers anything."""

from __future__ import annotations

import multiprocessing
import time

import orjson
import psycopg

from bench.ingest import load
from bench.ingest.page import Measured
from fuel_stat.postgres import Cluster

Row = tuple[str, int, str]


def _copy(dsn: str, batches: list[list[Row]]) -> float:
    """In a process of its own: COPY each batch; returns the CPU it took."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        started = time.process_time()
        for batch in batches:
            with connection.cursor().copy("copy bench_copy from stdin") as copy:
                for row in batch:
                    copy.write_row(row)
        return time.process_time() - started


def copy_ceiling(primary: Cluster, bodies: list[bytes], into: Measured) -> None:
    """The records of these bodies, one jsonb row each, by COPY of 100 from two processes."""
    batches = [orjson.loads(body)["action_logs"] for body in bodies]
    rows = [
        [(r["master_node_uid"], r["external_id"], orjson.dumps(r["body"]).decode()) for r in batch]
        for batch in batches
    ]
    dsn = primary.dsn("collector")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create table if not exists bench_copy (uid text, id bigint, body jsonb, primary key (uid, id))"
        )
        connection.execute("truncate bench_copy")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        before, started = load.cpu_seconds(primary.pid or 0), time.perf_counter()
        into.server_cpu += sum(pool.starmap(_copy, [(dsn, rows[::2]), (dsn, rows[1::2])], chunksize=1))
        into.seconds += time.perf_counter() - started
        into.postgres_cpu += load.cpu_seconds(primary.pid or 0) - before
    into.requests += len(rows)
