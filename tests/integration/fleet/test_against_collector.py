"""The fleet against the real collector under gunicorn: the sender's tally equals the ledger and what landed."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from fleet.installation import installations
from fleet.modern import run_modern
from fleet.run import replay, run_fleet
from fleet.tally import TallyStore
from fleet.truth import Truth
from fuel_stat.postgres import free_port

NODES = 15
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def collector(collector_pair: Any, tmp_path: Path) -> Iterator[str]:
    """The address of a collector of its own, over a fresh database."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "-c", "ingest_api/gunicorn_conf.py"]
    environment = {**os.environ, "FUEL_STAT_INGEST_DSN": collector_pair.dsn("fuel_ingest")}
    with (tmp_path / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}", "ingest_api.wsgi:application"],
            cwd=REPOSITORY, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the collector ended"
        try:
            with urllib.request.urlopen(f"{url}/api/v1/ping/", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the collector does not answer")


def scalar(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def landed(dsn: str) -> str:
    """All landed payloads as one text."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select payload from collector.landing").fetchall()
    return "\n".join(zstandard.decompress(row[0]).decode() for row in rows)


def test_tally_ledger_and_landing_agree(collector: str, collector_pair: Any, tmp_path: Path) -> None:
    """Added by the tally = bits in the ledger = taken positions; a second run adds nothing."""
    dsn = collector_pair.dsn("postgres")
    ledger = "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
    taken = """select sum(coalesce(cardinality(taken), records)) from collector.landing
               where kind = 'action_logs'"""
    for _ in range(2):
        tally = run_fleet(collector, 1, NODES, 90, tmp_path)
        logs = tally.kinds["action_logs"]
        assert logs.unanswered == 0
        assert logs.added == scalar(dsn, ledger) == scalar(dsn, taken)
        assert tally.kinds["oswl_stats"].added == scalar(dsn, "select count(*) from collector.ledger_version")
        structures = "select count(*) from collector.ledger_latest where kind = 'installation_structure'"
        assert tally.kinds["installation_structure"].added == scalar(dsn, structures)
        refused = sum(counts.failed for counts in tally.kinds.values())
        assert refused == scalar(dsn, "select count(*) from collector.quarantine where state = 'open'")


def test_no_planted_value_is_stored(collector: str, collector_pair: Any, tmp_path: Path) -> None:
    """None of the marked secrets and identifying values that the fleet sends is found in what landed."""
    run_fleet(collector, 1, NODES, 90, tmp_path)
    with TallyStore(tmp_path) as store:
        now = store.anchor(f"1/{NODES}/90", datetime.now(UTC))  # the run's, which is remembered
    planted = {value for one in installations(1, NODES, 90, now) for value in one.planted}
    text = landed(collector_pair.dsn("postgres"))
    spelled = {json.dumps(value)[1:-1]: value for value in planted}
    assert len(planted) > 100
    assert [value for escaped, value in spelled.items() if escaped in text or value in text] == []


def test_recorded_traffic_is_tallied_like_the_ledger(
    collector: str, collector_pair: Any, tmp_path: Path, recorded: Path
) -> None:
    """The recorded cycles of a real node: each finished action once, its three environments in the truth."""
    tally = replay(collector, recorded / "nailgun", tmp_path)
    ledger = "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
    assert tally.kinds["action_logs"].added == scalar(collector_pair.dsn("postgres"), ledger)
    assert tally.kinds["action_logs"].failed == tally.kinds["action_logs"].unanswered == 0
    with TallyStore(tmp_path) as store:
        assert Truth.of(store).report()["environments"]["count"] == 3


def test_modern_nodes_record_and_send_by_the_package(
    collector: str, collector_pair: Any, tmp_path: Path
) -> None:
    """Nodes with nailgun_sender enrol, sign and send; their tally equals the ledger, and a further day adds to it."""
    dsn = collector_pair.dsn("postgres")
    ledger = "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
    once = run_modern(collector, 1, 2, 90, tmp_path).kinds
    assert once["action_logs"].added == scalar(dsn, ledger) > 20
    assert once["action_logs"].unanswered == once["action_logs"].failed == 0
    assert once["installation_structure"].added == 2
    assert scalar(dsn, "select count(*) from collector.landing where tier = 1") > 0
    twice = run_modern(collector, 1, 2, 90, tmp_path).kinds
    assert twice["action_logs"].added == scalar(dsn, ledger) > once["action_logs"].added
