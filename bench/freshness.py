"""From a POST to a published mart in the running stack: `make bench-freshness` writes docs/benchmarks/freshness.md.

The fleet trickles action logs to the collector while everything runs on its schedules. Each record is a probe: when it
was sent is noted here, when it was loaded and published is read from the warehouse afterwards, by its key.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from fleet.run import Probe, trickle
from fuel_stat import state
from fuel_stat.identity import installation_key

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "freshness.md"
TARGET_P95_SECONDS = 90.0
PARTS = (
    ("landed → extraction begins", "sent_at", "load_started"),
    ("extraction", "load_started", "load_finished"),
    ("loaded → build begins (Airflow, a build under way)", "load_finished", "build_started"),
    ("build: dbt, four layers", "build_started", "built"),
    ("audit of the marts, integrity, staging, switch", "built", "published"),
)


@dataclass(frozen=True)
class Journey:
    """One probe's way; unix seconds."""

    sent_at: float
    load_started: float
    load_finished: float
    build_started: float
    built: float
    published: float

    @property
    def seconds(self) -> float:
        return self.published - self.sent_at


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def send(url: str, home: Path, seconds: float, rate: float) -> list[Probe]:
    """Trickle for so long; the probes that were added."""
    stop = threading.Event()
    probes: list[Probe] = []
    worker = threading.Thread(
        target=trickle,
        args=(url, 5, 40),
        kwargs={"rate": rate, "home": home, "stop": stop, "on_sent": probes.append},
    )
    worker.start()
    stop.wait(seconds)
    stop.set()
    worker.join()
    return [probe for probe in probes if probe.answer == "added"]


def journeys(dsn: str, pepper: bytes, probes: Sequence[Probe]) -> list[Journey]:
    """Those that are published, with the moments of their way."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create temporary table probe (installation_key uuid, external_id bigint, sent_at float8)"
        )
        connection.cursor().executemany(
            "insert into probe values (%s, %s, %s)",
            [(installation_key(pepper, one.uid), one.external_id, one.sent_at) for one in probes],
        )
        rows = connection.execute(
            """
            select
                probe.sent_at, extract(epoch from l.started_at), extract(epoch from l.finished_at),
                extract(epoch from p.started_at), extract(epoch from p.built_at), extract(epoch from p.published_at)
            from probe
            inner join pub.fct_action as f using (installation_key, external_id)
            inner join raw.action_logs as r on f.landing_id = r.landing_id and f.position = r.position
            inner join ops.load as l on r.load_id = l.load_id
            inner join ops.publication as p on f.pub_from = p.publication_id
            where p.published_at is not null
            """
        ).fetchall()
    return [Journey(*map(float, row)) for row in rows]


def steps(dsn: str, since: float) -> list[tuple[Any, ...]]:
    """Mean seconds of each step of the publications since then, and how many."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(
            "select s.step, avg(s.seconds), max(s.seconds), count(*) from ops.publication_step as s"
            " where s.started_at > to_timestamp(%s) and s.succeeded group by s.step order by min(s.started_at)",
            (since,),
        ).fetchall()


def report(
    found: Sequence[Journey], sent: int, timed: Sequence[tuple[Any, ...]], seconds: float, rate: float
) -> str:
    """The page."""
    took = [one.seconds for one in found]
    p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
    verdict = "kept" if p95 <= TARGET_P95_SECONDS and len(found) == sent else "MISSED"
    lines = [
        "# Freshness: from a POST to a published mart",
        "",
        "Measured by `make bench-freshness` in the running embedded stack, collector, Airflow, dbt and servers on the",
        f"same {os.cpu_count()} cores; {datetime.now(UTC):%Y-%m-%d}. Nodes kept sending {rate:g} records a second",
        f"for {seconds:.0f} s.",
        "",
        "| probes | published | p50 | p95 | slowest | target p95 |",
        "|---|---|---|---|---|---|",
        f"| {sent} | {len(found)} | {p50:.0f} s | {p95:.0f} s | {max(took):.0f} s"
        f" | {TARGET_P95_SECONDS:.0f} s: {verdict} |",
        "",
        "Where the time goes (mean over the probes):",
        "",
        "| part | seconds | share |",
        "|---|---|---|",
    ]
    total = statistics.fmean(took)
    for name, start, end in PARTS:
        mean = statistics.fmean(getattr(one, end) - getattr(one, start) for one in found)
        lines.append(f"| {name} | {mean:.1f} | {100 * mean / total:.0f} % |")
    lines += ["", "Steps of a publication:", "", "| step | mean | slowest | runs |", "|---|---|---|---|"]
    lines += [f"| {step} | {mean:.1f} s | {slowest:.1f} s | {runs} |" for step, mean, slowest, runs in timed]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write the page, exit 1 when the target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long nodes send")
    parser.add_argument("--rate", type=float, default=2.0, help="records a second")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for the last probe")
    options = parser.parse_args()
    known, secrets = state.read_state(), state.read_secrets()
    if not known or not secrets:
        print("bench: there is no running stack: `make up` first.", file=sys.stderr)
        return 2
    dsn = f"postgresql://fuel_warehouse:{secrets['WAREHOUSE_PASSWORD']}@127.0.0.1:{known['ports']['analytic']}/analytic"
    began = time.time()
    probes = send(known["urls"]["ingest"], state.home(), options.seconds, options.rate)
    deadline = time.monotonic() + options.patience
    found: list[Journey] = []
    while len(found) < len(probes) and time.monotonic() < deadline:
        time.sleep(5)
        found = journeys(dsn, bytes.fromhex(secrets["PEPPER"]), probes)
        print(f"{len(found)} of {len(probes)} probes are published", flush=True)
    if not found:
        print("bench: nothing was published.", file=sys.stderr)
        return 1
    page = report(found, len(probes), steps(dsn, began), options.seconds, options.rate)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page)
    print(page)
    return 0 if percentile([one.seconds for one in found], 0.95) <= TARGET_P95_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
