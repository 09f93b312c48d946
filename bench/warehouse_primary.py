"""What extraction costs the primary: the same steady stream of requests with and without it, in turns."""

from __future__ import annotations

import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import zstandard

from bench.landed import RECORDS_A_LANDING, body, cpu_seconds, encode
from fuel_stat.identity import node_id
from fuel_stat.postgres import Cluster
from warehouse.extract import Options, run_extract

PAIRS = 8
SECONDS = 5.0
REQUESTS_A_SECOND = 100
NODES = 50
PEPPER = bytes(range(32))

# What the collector writes for a request: landing, contact, and the bits of the ids in the ledger.
_REQUEST = """
with landed as (
    insert into collector.landing (landing_id, node, uid, kind, records, payload_bytes, payload)
    values (%(landing)s, %(node)s, %(uid)s, 'action_logs', %(records)s, %(bytes)s, %(payload)s)
),
heard as (
    insert into collector.contact (node, uid, day) values (%(node)s, %(uid)s, now()::date) on conflict do nothing
)
insert into collector.ledger_bitmap as l (node, kind, bucket, bits, fresh)
select %(node)s, 'action_logs', id >> 6, bit_or(1::bigint << (id & 63)::integer), 0
from generate_series(%(first)s::bigint, %(first)s::bigint + %(records)s - 1) as id
group by id >> 6
order by id >> 6
on conflict (node, kind, bucket) do update
set bits = l.bits | excluded.bits, fresh = excluded.bits & ~l.bits
"""


@dataclass(frozen=True)
class Load:
    """One stretch: requests, CPU seconds and blocks of the primary a request, extractions and their records."""

    requests: int
    cpu: float
    blocks: float
    runs: int
    extracted: int


@dataclass
class Stream:
    """Requests of a hundred new records, over one connection, as a worker of the collector sends them."""

    connection: psycopg.Connection[tuple[object, ...]]
    sent: int = 0
    _bodies: list[bytes] = field(
        default_factory=lambda: [
            encode({"external_id": n, "body": body(n)}) for n in range(RECORDS_A_LANDING)
        ]
    )

    def send(self) -> None:
        """One request, committed."""
        uid = f"bench-steady-{self.sent % NODES:03}"
        document = b"[%s]" % b",".join(self._bodies)
        payload = zstandard.compress(document, 1)
        self.connection.execute(
            _REQUEST,
            {
                "landing": uuid.uuid4(), "node": node_id(uid), "uid": uid, "records": RECORDS_A_LANDING,
                "bytes": len(document), "payload": payload, "first": self.sent // NODES * RECORDS_A_LANDING,
            },
            prepare=True,
        )  # fmt: skip
        self.sent += 1

    def blocks(self) -> int:
        """How many the primary has touched for the collector's database so far, those of these requests included."""
        self.connection.execute("select pg_stat_force_next_flush()")
        row = self.connection.execute(
            "select blks_hit + blks_read from pg_stat_database where datname = 'collector'"
        ).fetchone()
        assert row is not None
        return int(str(row[0]))


def compare(primary: Cluster, standby: Cluster, analytic: Cluster) -> tuple[list[Load], list[Load]]:
    """Stretches without and with extraction after extraction beside them, in turns."""
    alone, beside = [], []
    with psycopg.connect(primary.dsn("collector", "fuel_admin"), autocommit=True) as connection:
        stream = Stream(connection)
        _stretch(primary, stream)
        for pair in range(PAIRS):
            # Who is first changes, so that whatever grows with time weighs on both.
            for extract in (False, True) if pair % 2 else (True, False):
                with _extracting(primary, standby, analytic, wanted=extract) as counts:
                    cpu, blocks, requests = _stretch(primary, stream)
                (beside if extract else alone).append(
                    Load(requests, cpu / requests, blocks / requests, *counts)
                )
    return alone, beside


def _stretch(primary: Cluster, stream: Stream) -> tuple[float, int, int]:
    cpu, blocks = cpu_seconds(primary), stream.blocks()
    begun, requests = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < SECONDS:
        if requests < passed * REQUESTS_A_SECOND:
            stream.send()
            requests += 1
        else:
            time.sleep(0.002)
    return cpu_seconds(primary) - cpu, stream.blocks() - blocks, requests


@contextmanager
def _extracting(
    primary: Cluster, standby: Cluster, analytic: Cluster, *, wanted: bool
) -> Iterator[list[int]]:
    """Extraction after extraction without pause; yields how many runs and records there were, right when it ends."""
    counts, stop = [0, 0], threading.Event()

    def extractions() -> None:
        while not stop.is_set():
            report = run_extract(
                standby.dsn("collector", "fuel_extract"), analytic.dsn("analytic", "fuel_warehouse"), PEPPER,
                primary_dsn=primary.dsn("collector", "fuel_admin"), options=Options(drift_seconds=0),
            )  # fmt: skip
            counts[0] += 1
            counts[1] += report.records

    thread = threading.Thread(target=extractions)
    if wanted:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        if wanted:
            thread.join()


def page(alone: list[Load], beside: list[Load]) -> list[str]:
    """The section of the page."""
    rows = [
        f"| {name} | {sum(load.requests for load in loads)} | {_spread([load.cpu * 1000 for load in loads], 2)}"
        f" | {_spread([load.blocks for load in loads], 0)} | {sum(load.runs for load in loads)}"
        f" | {sum(load.extracted for load in loads):,} |"
        for name, loads in (("alone", alone), ("while extraction runs", beside))
    ]
    more = [b.cpu / a.cpu for a, b in zip(alone, beside, strict=True)]
    blocks = [b.blocks / a.blocks for a, b in zip(alone, beside, strict=True)]
    return [
        "## The primary meanwhile",
        "",
        f"{REQUESTS_A_SECOND} requests of {RECORDS_A_LANDING} new records a second, each written as the collector does"
        f" (landing, contact, ledger); {PAIRS} pairs of {SECONDS:.0f} s without and with extraction after extraction"
        " beside it, without a pause, the standby's feedback on as in the stack. Median (smallest to largest). Times of"
        " answer are not shown: all servers share the machine's cores here.",
        "",
        "| | requests | primary's CPU ms a request | blocks touched a request | runs | records extracted |",
        "|---|---:|---:|---:|---:|---:|",
        *rows,
        "",
        f"With extraction divided by without, pair by pair: CPU {_spread(more, 2)}, blocks {_spread(blocks, 2)}.",
    ]


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
