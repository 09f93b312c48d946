"""Promotions and restores: the source's history is another one than was loaded; raw follows it, and says how."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from fuel_stat.identity import node_id
from fuel_stat.postgres import Cluster, ensure_database, free_port
from tests.integration.warehouse_extract.evidence import note
from tests.integration.warehouse_extract.schedules import landed_records, raw_records
from warehouse.errors import ExtractionError
from warehouse.extract import LoadReport, Options, run_extract
from warehouse.integrity import check_integrity

_numbers = itertools.count(1)
TEXT = """
Written by `make evidence PYTEST=tests/integration/warehouse_extract/test_histories.py`. Between two events a few
landings, overlapping transactions, extractions and base backups at random; an event replaces the source by one of
its earlier backups, promoted to a new timeline or simply booted (same system identifier and timeline,
transactions used again). In 7 of 10 cases, and at the end, raw, contacts and seals are compared with the source,
record by record. A row is written only when all agreed.
"""


@dataclass
class History:
    """A source whose server is replaced by backups of itself and by promoted copies."""

    current: Cluster
    folder: Path
    warehouse: str
    analytic: str
    pepper: bytes
    random: random.Random
    database: str = "collector"
    made: list[Cluster] = field(default_factory=list)
    next_id: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def dsn(self, role: str = "fuel_admin") -> str:
        return self.current.dsn(self.database, role)

    def land(
        self,
        connection: psycopg.Connection[Any] | None = None,
        records: int = 1,
        nodes: Sequence[int] = range(4),
    ) -> None:
        if connection is None:
            with psycopg.connect(self.dsn()) as own:
                return self.land(own, records)
        uid = f"node-of-history-{self.random.choice(nodes)}"
        ids = range(self.next_id, self.next_id + records)
        self.next_id += records
        document = [{"external_id": n, "body": {}} for n in ids]
        connection.execute(
            "insert into collector.landing (node, uid, kind, records, payload_bytes, payload)"
            " values (%s, %s, 'action_logs', %s, 1, %s)",
            (node_id(uid), uid, records, zstandard.compress(json.dumps(document).encode(), 1)),
        )
        connection.execute(
            "insert into collector.contact (node, uid, day) values (%s, %s, current_date - %s::integer)"
            " on conflict do nothing",
            (node_id(uid), uid, self.random.randrange(5)),
        )
        return None

    def burn(self, transactions: int) -> None:
        """Use up transaction numbers, as a busy server does, landing nothing."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            for _ in range(transactions):
                connection.execute("select pg_current_xact_id()")

    def extract(self, **options: Any) -> LoadReport:
        return run_extract(
            self.dsn("fuel_extract"), self.warehouse, self.pepper,
            options=Options(chunk_landings=4, backoff_seconds=0.05, **options),
        )  # fmt: skip

    def backup(self) -> Path:
        """A base backup of the current server, as the backups of the product are made."""
        target = self.folder / f"backup-{next(_numbers)}"
        done = self.current.run(
            "pg_basebackup",
            *("--pgdata", str(target), "--checkpoint", "fast", "--no-sync", "--wal-method", "stream"),
            *("--dbname", f"host=127.0.0.1 port={self.current.port} user=fuel_backup"),
            PGPASSWORD=self.current.passwords["fuel_backup"],
        )
        assert done.returncode == 0, done.stderr
        return target

    def boot(self, data: Path, *, new_timeline: bool, stop: bool = True) -> None:
        """Replace the current server by this copy; without a new timeline transactions are simply used again."""
        if stop:
            self.current.stop("immediate")
        copy = replace(self.current, name=data.name, data=data, port=free_port(), _child=None)
        for leftover in ("standby.signal", "postgresql.auto.conf"):
            (data / leftover).unlink(missing_ok=True)
        if new_timeline:
            (data / "standby.signal").touch()
            if copy.user:
                os.chown(data / "standby.signal", copy.user.uid, copy.user.gid)
        copy.start(tied=True)
        self.made.append(copy)
        if new_timeline:
            copy.promote()
        self.current = copy

    def agrees(self) -> None:
        """Raw is exactly what the source has, contacts included, and the seals hold."""
        raw = raw_records(self.analytic)
        assert len(raw) == len(set(raw))
        assert set(raw) == landed_records(self.dsn())
        with psycopg.connect(self.dsn()) as source, psycopg.connect(self.analytic) as target:
            (contacts,) = source.execute("select count(*) from collector.contact").fetchone()  # type: ignore[misc]
            assert target.execute("select count(*) from raw.contact").fetchone() == (contacts,)
        report = check_integrity(self.dsn("fuel_extract"), self.warehouse, self.pepper, everything=True)
        assert [row for row in report.rows if {"landed", "content"} & set(row.problems)] == []


@pytest.fixture
def history(session_pair: Any, clusters_folder: Path, analytic_db: Any, pepper: bytes) -> Iterator[History]:
    """A server of the test's own (a copy of the shared primary) with some loaded history."""
    shared = session_pair[0]
    history = History(
        shared,
        clusters_folder,
        analytic_db.dsn("fuel_warehouse"),
        analytic_db.dsn(),
        pepper,
        random.Random(1),
    )
    history.boot(history.backup(), new_timeline=False, stop=False)
    ensure_database(history.current.dsn("postgres"), "collector", "fuel_admin", template="collector_template")
    for _ in range(3):
        history.land(records=2)
        history.extract()
    yield history
    for cluster in history.made:
        cluster.destroy()
        shutil.rmtree(cluster.data, ignore_errors=True)


@pytest.mark.slow
def test_a_restored_copy_without_a_new_timeline_is_found_out(history: History) -> None:
    """A booted base backup keeps system identifier and timeline and uses transactions again: what it lost leaves raw,
    what came since arrives, an installation that lost records is marked, and the next run finds all in agreement."""
    backup = history.backup()
    for _ in range(3):
        history.land()
        history.extract()
    with psycopg.connect(history.analytic) as connection:
        before = connection.execute("select system_identifier, timeline from ops.load").fetchall()
    history.boot(backup, new_timeline=False)
    for _ in range(8):
        history.land()
    report = history.extract()
    assert report.resync is not None
    assert (report.resync.removed_landings, report.resync.inserted_landings) == (3, 8)
    history.agrees()
    with psycopg.connect(history.analytic) as connection:
        after = connection.execute("select system_identifier, timeline from ops.load").fetchall()
        assert set(after) == set(before)
        (kept, touched) = connection.execute(
            "select (select count(*) from raw.removed_record), (select count(*) from ops.touched_installation)"
        ).fetchone()  # type: ignore[misc]
        assert kept == 3
        assert touched > 0
        (superseded,) = connection.execute(
            "select count(*) from ops.load where superseded_by = %s", (report.resync.load_id,)
        ).fetchone()  # type: ignore[misc]
        assert superseded == 3
    assert history.extract().resync is None


@pytest.mark.slow
def test_a_restore_that_lost_nothing_loaded_is_found_by_its_transactions(history: History) -> None:
    """Windows beyond the restored server's transactions cannot agree, even when they were empty: what lands there
    later would be below the watermark and never be seen."""
    backup = history.backup()
    history.burn(20)
    history.extract()
    history.boot(backup, new_timeline=False)
    history.land()
    assert history.extract().resync is not None
    history.agrees()
    history.land()
    history.extract()
    history.agrees()


@pytest.mark.slow
def test_a_restored_server_that_was_busy_meanwhile_is_found_by_its_empty_windows(history: History) -> None:
    """Rows that landed after the restore inside a window that was empty before are found, although the restored
    server's transactions have already passed the watermark."""
    backup = history.backup()
    history.burn(30)
    history.extract()
    history.boot(backup, new_timeline=False)
    history.land()
    history.burn(60)
    assert history.extract().resync is not None
    history.agrees()


@pytest.mark.slow
def test_a_foreign_history_is_refused(history: History) -> None:
    """A server from before all loads shares nothing: nothing is removed until an operator says so."""
    with psycopg.connect(history.dsn()) as connection:
        connection.execute("truncate collector.landing, collector.contact")
    history.land()
    with pytest.raises(ExtractionError) as caught:
        history.extract()
    assert caught.value.code == "source_shares_no_history"
    assert history.extract(accept_new_source=True).removed == 6
    history.agrees()


def _random_history(history: History, events: int, always: str | None = None) -> None:
    """Loads, overlapping transactions, backups, and a few times a restore or promotion of some earlier backup."""
    backups: list[Path] = [history.backup()]
    for _ in range(events):
        for _ in range(history.random.randint(3, 8)):
            step = history.random.choices(("land", "overlap", "extract", "burn", "backup"), (6, 3, 5, 1, 1))[
                0
            ]
            history.done[step] += 1
            if step == "land":
                history.land(records=history.random.randint(1, 3))
            elif step == "overlap":
                _overlap(history)
            elif step == "extract":
                history.extract()
            elif step == "burn":
                history.burn(history.random.randint(1, 15))
            else:
                backups.append(history.backup())
        chosen = backups.pop(history.random.randrange(len(backups)))
        new_timeline = history.random.random() < 0.5 if always is None else always == "promotion"
        history.done["promotion" if new_timeline else "restore"] += 1
        history.boot(chosen, new_timeline=new_timeline)
        # What was backed up after the chosen one belongs to a history that is gone, and may still be restored.
        if history.random.random() < 0.5:
            _overlap(history)
        if history.random.random() < 0.7:
            history.extract()
            history.agrees()
        backups.append(history.backup())
    history.extract()
    history.agrees()


def _overlap(history: History) -> None:
    """Two transactions that end in the other order than they began, with an extraction between the ends."""
    with psycopg.connect(history.dsn()) as first, psycopg.connect(history.dsn()) as second:
        # Of different nodes: one contact in two open transactions would make the second wait for the first.
        history.land(first, nodes=(0, 1))
        history.land(second, nodes=(2, 3))
        second.commit()
        if history.random.random() < 0.5:
            history.extract()
        if history.random.random() < 0.3:
            first.rollback()


@pytest.mark.slow
def test_three_random_restores_and_promotions(history: History) -> None:
    """After each, raw is exactly what the source has."""
    history.random = random.Random(int(os.environ.get("FUEL_STAT_SCHEDULE_SEED", "1")))
    _random_history(history, 3)


@pytest.mark.evidence
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["promotion", "restore"])
def test_twenty_random_promotions_and_twenty_restores(history: History, kind: str) -> None:
    """Twenty of each, one after the other. Writes docs/evidence/extraction-histories.md."""
    begun = time.monotonic()
    history.random = random.Random(7)
    _random_history(history, 20, always=kind)
    with psycopg.connect(history.analytic) as connection:
        found = connection.execute(
            "select (select count(*) from ops.load where mode = 'resync'),"
            " (select sum(records) from ops.load where mode = 'resync'), (select count(*) from raw.removed_record),"
            " (select count(*) from raw.action_logs)"
        ).fetchone()
    assert history.done[kind] == 20
    note(
        "extraction-histories",
        "Extraction over promotions and restores",
        TEXT,
        ["event", "events", "extractions between", "backups", "comparisons", "inserted by them", "taken out",
         "records at the end", "differing", "seconds"],
        [kind, history.done[kind], history.done["extract"], history.done["backup"], *(found or ()), 0,
         round(time.monotonic() - begun)],
    )  # fmt: skip
