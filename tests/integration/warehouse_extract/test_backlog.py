"""A backlog on two lanes: order, kills, errors in the middle, recovery conflicts, a standby that is still starting."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from tests.integration.warehouse_extract.conftest import action
from warehouse import extract_chunk
from warehouse.errors import ExtractionError
from warehouse.extract import LoadReport, Options, run_extract
from warehouse.extract_source import Source


class Way:
    """A collector with landed requests, and extraction from its standby."""

    def __init__(self, pair: Any, analytic: Any, collector: Any, pepper: bytes) -> None:
        self.pair, self.analytic, self.collector, self.pepper = pair, analytic, collector, pepper

    def land(self, requests: int, *, kind: str = "action_logs") -> list[Any]:
        landed = []
        for number in range(requests):
            with self.collector.connect() as connection:
                uid = f"node-backlog-{number % 3}"
                landed.append(self.collector.land(connection, uid, [action(uid, number)] * 2, kind=kind))
        self.pair.wait_replayed()
        return landed

    def extract(self, **options: Any) -> LoadReport:
        return run_extract(
            self.pair.dsn("fuel_extract", standby=True), self.analytic.dsn("fuel_warehouse"), self.pepper,
            options=Options(**{"backoff_seconds": 0.05, "drift_seconds": 0, **options}),
        )  # fmt: skip

    def query(self, statement: str) -> list[Any]:
        with psycopg.connect(self.analytic.dsn()) as connection:
            return connection.execute(statement).fetchall()

    def windows(self) -> list[tuple[int, int, int]]:
        """From, to and number of landings of the loads, in their order."""
        return self.query(
            "select from_xid::text::bigint, to_xid::text::bigint, landings from ops.load"
            " where state = 'loaded' order by load_id"
        )

    def agrees(self, landed: list[Any], kind: str = "action_logs") -> None:
        """Raw has both records of each request once, and the windows join from the first to the last."""
        rows = self.query(f"select landing_id, position from raw.{kind} order by 1, 2")
        assert rows == sorted((landing_id, position) for landing_id in landed for position in (0, 1))
        windows = self.windows()
        assert windows[0][0] == 0
        assert all(before[1] == after[0] for before, after in pairwise(windows))
        assert self.query("select sum(records) from ops.raw_seal") == [(len(landed) * 2,)]


@pytest.fixture
def way(collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes) -> Way:
    return Way(collector_pair, analytic_db, collector, pepper)


def test_chunks_of_a_backlog_join_in_order(way: Way) -> None:
    """A kind that raw has never seen arrives by many chunks at once; loads, windows and seals are as if one by one."""
    landed = way.land(11, kind="kind_of_tomorrow")
    report = way.extract(chunk_landings=1)
    assert (report.landings, report.records, report.retries) == (11, 22, 0)
    assert list(report.load_ids) == sorted(report.load_ids)
    assert len(report.load_ids) >= 11
    way.agrees(landed, "kind_of_tomorrow")


def test_an_unreadable_record_in_the_middle_of_a_backlog(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunk goes the careful way, those beside it are not disturbed."""
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    landed = way.land(8)
    with way.collector.connect() as connection:
        connection.execute(
            "update collector.landing set payload = %s where landing_id = %s",
            (zstandard.compress(b'[{"a": 1e999999}, {"b": 2}]'), landed[4]),
        )
    way.pair.wait_replayed()
    report = way.extract(chunk_landings=1)
    assert (report.records, report.unreadable) == (16, 1)
    assert [alarm.code for alarm in report.alarms] == ["unreadable_records"]
    way.agrees(landed)


def test_nothing_after_a_failed_chunk_is_kept(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks before the failed one stay, the ones after it are rolled back; the next run brings the rest."""
    landed = way.land(8)
    bad = landed[3]

    def fails(copy: Any, landings: Any, checker: Any) -> int:
        def until_bad() -> Iterator[Any]:
            for landing in landings:
                if landing.landing_id == bad.bytes:
                    raise ExtractionError("expansion_mismatch", "as if the expansion had lost something")
                yield landing

        return original(copy, until_bad(), checker)

    original = extract_chunk.copy_landings
    monkeypatch.setattr(extract_chunk, "copy_landings", fails)
    with pytest.raises(ExtractionError, match="as if"):
        way.extract(chunk_landings=1)
    way.agrees(landed[:3])
    assert way.query("select error like '%expansion_mismatch%' from ops.load where state = 'failed'") == [
        (True,)
    ]
    monkeypatch.undo()
    way.extract(chunk_landings=1)
    way.agrees(landed)


def test_a_window_that_moved_is_refused(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a second loader ever load the same window meanwhile, the chunk is refused: windows never overlap."""
    landed = way.land(2)

    def overtaken(copy: Any, landings: Any, checker: Any) -> int:
        done = original(copy, landings, checker)
        with psycopg.connect(way.analytic.dsn("fuel_warehouse")) as other:
            other.execute("insert into ops.load (from_xid, to_xid) values ('0', '9')")
        return done

    original = extract_chunk.copy_landings
    monkeypatch.setattr(extract_chunk, "copy_landings", overtaken)
    with pytest.raises(ExtractionError) as caught:
        way.extract()
    assert caught.value.code == "watermark_moved"
    assert way.query("select count(*) from raw.action_logs") == [(0,)]
    assert landed


@pytest.mark.slow
def test_a_loader_that_is_killed_at_any_moment_leaves_a_prefix(way: Way) -> None:
    """SIGKILL at random moments of a run over many chunks, again and again: what is there is always a prefix of the
    windows with all their rows, and the run that is left alone completes it."""
    landed = way.land(30)
    chance = random.Random(5)
    seen, patience = {0}, 0.25
    for _ in range(25):
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                way.extract(chunk_landings=2)
            finally:
                os._exit(0)
        time.sleep(chance.random() * patience)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        loaded = sum(landings for _, _, landings in way.windows())
        # A slow machine gets nowhere in so little time.
        patience *= 1.0 if loaded not in seen else 1.2
        seen.add(loaded)
        if loaded:
            way.agrees(landed[:loaded])
        if loaded == len(landed):
            break
    assert seen - {0, len(landed)}, "no kill hit a run between two of its chunks"
    way.extract(chunk_landings=2)
    way.agrees(landed)


@contextmanager
def impatient_standby(way: Way) -> Iterator[Callable[[], int]]:
    """A standby that cancels readers at once; gives a function that counts the cancelled."""
    standby = way.pair.standby
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as connection:
        delay = connection.execute("show max_standby_streaming_delay").fetchone()[0]  # type: ignore[index]

        def patience(value: str) -> None:
            connection.execute(f"alter system set max_standby_streaming_delay = '{value}'")
            connection.execute("select pg_reload_conf()")

        def cancelled() -> int:
            connection.execute("select pg_stat_clear_snapshot()")
            row = connection.execute(
                "select confl_snapshot from pg_stat_database_conflicts where datname = %s",
                (way.pair.database,),
            ).fetchone()
            return int(row[0])  # type: ignore[index]

        patience("50ms")
        try:
            yield cancelled
        finally:
            patience(delay)


def make_conflict(way: Way, cancelled: Callable[[], int]) -> None:
    """Vacuum away rows that open snapshots on the standby could still see, until the standby has cancelled one."""
    before, deadline = cancelled(), time.monotonic() + 30
    with psycopg.connect(way.pair.dsn("fuel_admin"), autocommit=True) as connection:
        while cancelled() == before:
            assert time.monotonic() < deadline, "the standby cancelled nobody"
            connection.execute("create table if not exists collector.junk as select 1 as n")
            connection.execute("delete from collector.junk")
            connection.execute("vacuum collector.junk")
            connection.execute("drop table collector.junk")
            time.sleep(0.1)


@pytest.mark.parametrize(("chunk_landings", "at"), [(100, 1), (2, 2)])
def test_a_recovery_conflict_is_retried(
    way: Way, monkeypatch: pytest.MonkeyPatch, chunk_landings: int, at: int
) -> None:
    """The standby cancels the reading snapshot in the middle of a chunk (the only one, or the second of several):
    the chunk is read again on a fresh snapshot in smaller pieces, and nothing is lost or doubled."""
    landed = way.land(8)
    calls = 0

    def disturbed(copy: Any, landings: Any, checker: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == at:
            make_conflict(way, cancelled)
        return original(copy, landings, checker)

    original = extract_chunk.copy_landings
    monkeypatch.setattr(extract_chunk, "copy_landings", disturbed)
    with impatient_standby(way) as cancelled:
        before = cancelled()
        report = way.extract(chunk_landings=chunk_landings)
        assert cancelled() > before
    assert report.retries >= 1
    assert report.records == 16
    way.agrees(landed)
    if chunk_landings == 2:
        assert 1 in [landings for _, _, landings in way.windows()], "the chunks did not get smaller"


def test_a_standby_that_is_still_starting_loses_no_history(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed standby may show less than before until it has replayed what it had received: extraction looks again
    instead of taking out what seems to be gone."""
    landed = way.land(4)
    way.extract()
    settled = iter([False, True])
    looks = []

    def starting(source: Source) -> bool:
        looks.append(source.snapshot.xmin)
        # Now it has caught up.
        with psycopg.connect(way.analytic.dsn()) as connection:
            connection.execute("update ops.load set to_xid = real, source_xmax = real from public.kept")
        return next(settled)

    with psycopg.connect(way.analytic.dsn()) as connection:
        # As if the window had been loaded from a snapshot that the standby has not reached again.
        connection.execute("create table public.kept as select to_xid as real from ops.load")
        connection.execute("update ops.load set to_xid = '9000000000'")
    monkeypatch.setattr(Source, "is_settled", starting)
    report = way.extract()
    assert len(looks) == 1
    assert (report.resync, report.removed) == (None, 0)
    monkeypatch.undo()
    way.land(0)
    way.agrees(landed)


def test_a_streaming_standby_and_a_primary_are_settled(way: Way) -> None:
    """A receiver is started only after all that is local was replayed; a primary shows all it has."""
    for standby in (True, False):
        with psycopg.connect(way.pair.dsn("fuel_extract", standby=standby)) as connection:
            assert Source(connection).is_settled()
