"""From a POST to a published mart in the running stack: `make bench-freshness` writes docs/benchmarks/freshness.md.

The fleet trickles action logs to the collector while everything runs on its schedules. Each record is a probe: when it
was sent is noted here, when it was loaded and published is read from the warehouse afterwards, by its key.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from fleet.run import Probe, trickle
from fuel_stat import state
from fuel_stat.identity import installation_key

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "freshness.md"
TARGET_P95_SECONDS = 90.0
# The step that runs beside the others; those follow each other.
BESIDE = "audit_raw"


@dataclass(frozen=True)
class Journey:
    """One probe's way; unix seconds."""

    sent_at: float
    load_started: float
    load_finished: float
    build_started: float
    published: float
    publication_id: int

    @property
    def seconds(self) -> float:
        return self.published - self.sent_at

    def parts(self, steps: Mapping[str, float]) -> dict[str, float]:
        """Seconds of each part; they add up to the whole. ``steps``: those of its publication."""
        done = {step: seconds for step, seconds in steps.items() if step != BESIDE}
        building = self.published - self.build_started
        return {
            "lands, and waits for the next extraction": self.load_started - self.sent_at,
            "extraction": self.load_finished - self.load_started,
            "waits for the next build": self.build_started - self.load_finished,
            **{f"build: {step}": seconds for step, seconds in done.items()},
            "build: Airflow, between the steps": building - sum(done.values()),
        }


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
                extract(epoch from p.started_at), extract(epoch from p.published_at), p.publication_id
            from probe
            inner join pub.fct_action as f using (installation_key, external_id)
            inner join raw.action_logs as r on f.landing_id = r.landing_id and f.position = r.position
            inner join ops.load as l on r.load_id = l.load_id
            inner join ops.publication as p on f.pub_from = p.publication_id
            where p.published_at is not null
            """
        ).fetchall()
    return [Journey(*map(float, row[:5]), publication_id=row[5]) for row in rows]


def steps(dsn: str, since: float) -> dict[int, dict[str, float]]:
    """Seconds of each step of the publications since then."""
    found: dict[int, dict[str, float]] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute(
            "select publication_id, step, seconds from ops.publication_step"
            " where started_at > to_timestamp(%s) and succeeded order by started_at",
            (since,),
        )
        for publication_id, step, seconds in rows:
            found.setdefault(publication_id, {})[step] = seconds
    return found


def idle_cores(home: Path, seconds: float) -> dict[str, float]:
    """Cores that each service of the stack uses, its children included, while nobody sends."""
    leaders = {json.loads(file.read_text())["pid"]: file.stem for file in (home / "run").glob("*.json")}
    before = _cpu_seconds(leaders)
    time.sleep(seconds)
    after = _cpu_seconds(leaders)
    return {name: (after[name] - before.get(name, 0.0)) / seconds for name in sorted(after)}


def _cpu_seconds(leaders: Mapping[int, str]) -> dict[str, float]:
    used: dict[str, float] = {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if (
            fields and int(fields[3]) in leaders
        ):  # the session; the times include children that were waited for
            name = leaders[int(fields[3])]
            used[name] = used.get(name, 0.0) + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return used


def report(
    found: Sequence[Journey],
    sent: int,
    timed: Mapping[int, Mapping[str, float]],
    idle: Mapping[str, float],
    options: argparse.Namespace,
) -> str:
    """The page."""
    took = [one.seconds for one in found]
    p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
    verdict = "kept" if p95 <= TARGET_P95_SECONDS and len(found) == sent else "MISSED"
    publications = {one.publication_id for one in found}
    lines = [
        "# Freshness: from a POST to a published mart",
        "",
        "Measured by `make bench-freshness` in the running embedded stack: collector, three Postgres servers, Airflow,",
        f"dbt, Great Expectations and the analytics API on the same {os.cpu_count()} cores;"
        f" {datetime.now(UTC):%Y-%m-%d}.",
        f"Nodes kept sending {options.rate:g} records a second for {options.seconds:.0f} s, each a probe;"
        f" {len(publications)} publications.",
        f"Load average of the machine (1 minute): {options.load:.1f} before, {os.getloadavg()[0]:.1f} at the end.",
        "",
        "| probes | published | p50 | p95 | slowest | target p95 |",
        "|---|---|---|---|---|---|",
        f"| {sent} | {len(found)} | {p50:.0f} s | {p95:.0f} s | {max(took):.0f} s"
        f" | {TARGET_P95_SECONDS:.0f} s: {verdict} |",
        "",
        *_where(found, timed),
        "",
        f"While no node sent, for {options.idle:.0f} s before the measurement, the services together used"
        f" {sum(idle.values()):.3f} cores:",
        ", ".join(f"{name} {cores:.3f}" for name, cores in idle.items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def _where(found: Sequence[Journey], timed: Mapping[int, Mapping[str, float]]) -> list[str]:
    """The table of the parts, over the probes whose publication is known step by step."""
    known = [one for one in found if "switch" in timed.get(one.publication_id, {})]
    parts = [one.parts(timed[one.publication_id]) for one in known]
    whole = statistics.fmean(one.seconds for one in known)
    beside = statistics.fmean(timed[one.publication_id].get(BESIDE, 0.0) for one in known)
    lines = ["Where the time goes (mean over the probes):", "", "| part | seconds | share |", "|---|---|---|"]
    for name in parts[0]:
        mean = statistics.fmean(one[name] for one in parts)
        lines.append(f"| {name} | {mean:.1f} | {100 * mean / whole:.0f} % |")
    return [*lines, "", f"`{BESIDE}` runs beside the first layers: {beside:.1f} s."]


def main() -> int:
    """Measure, write the page, exit 1 when the target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long nodes send")
    parser.add_argument("--rate", type=float, default=2.0, help="records a second")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch the idle stack before")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for the last probe")
    options = parser.parse_args()
    known, secrets = state.read_state(), state.read_secrets()
    if not known or not secrets:
        print("bench: there is no running stack: `make up` first.", file=sys.stderr)
        return 2
    dsn = f"postgresql://fuel_warehouse:{secrets['WAREHOUSE_PASSWORD']}@127.0.0.1:{known['ports']['analytic']}/analytic"
    options.load = os.getloadavg()[0]
    idle = idle_cores(state.home(), options.idle)
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
    page = report(found, len(probes), steps(dsn, began), idle, options)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page)
    print(page)
    return 0 if percentile([one.seconds for one in found], 0.95) <= TARGET_P95_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
