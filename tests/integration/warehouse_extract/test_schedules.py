"""Extraction under random schedules: nothing is lost or doubled. The obvious ways to do it lose rows."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from tests.integration.warehouse_extract.evidence import note
from tests.integration.warehouse_extract.schedules import (
    World,
    landed_records,
    raw_records,
    run_schedule,
)
from warehouse.extract import Options, run_extract
from warehouse.integrity import check_integrity

SEED = int(os.environ.get("FUEL_STAT_SCHEDULE_SEED", "1"))
ADD_IDS = (
    "create sequence collector.serial",
    "alter table collector.landing add column serial bigint default nextval('collector.serial')",
)


SCHEDULES_TEXT = """
Written by `make evidence PYTEST=tests/integration/warehouse_extract/test_schedules.py`. Each schedule is 16 random
steps on a real primary, its standby and an analytic server: transactions that stay open, savepoints kept and rolled
back (up to 70 in one), commits and rollbacks in any order, extractions, extractions killed with SIGKILL at a
random moment (over several chunks, two at a time), standbys killed or stopped. After each schedule raw is compared
with what was landed, record by record; windows must join, and nothing may have been taken out or compared again.
After each part ledger, landed and raw agree in the integrity check. A row is written only by a part that passed.
"""
BY_ID_TEXT = """
Written by `make evidence PYTEST=tests/integration/warehouse_extract/test_schedules.py`. The obvious ways lose
rows: an id as watermark, and an id cursor that leaves out rows of transactions that may still run.
"""


def by_window(standby: str, warehouse: str, pepper: bytes) -> None:
    """The product's way."""
    run_extract(
        standby, warehouse, pepper, options=Options(chunk_landings=2, attempts=4, backoff_seconds=0.05)
    )


def by_id_watermark(standby: str, warehouse: str, pepper: bytes) -> None:
    """The obvious way: rows above the highest id that was seen."""
    _by_id(standby, warehouse, "true")


def by_id_cursor_with_guard(standby: str, warehouse: str, pepper: bytes) -> None:
    """The second most obvious way: the same, but leave out rows of transactions that may still run."""
    _by_id(standby, warehouse, "xid < pg_snapshot_xmin(pg_current_snapshot())")


def _by_id(standby: str, warehouse: str, guard: str) -> None:
    with psycopg.connect(standby) as source, psycopg.connect(warehouse) as target:
        target.execute("create table if not exists public.cursor (serial bigint)")
        (last,) = target.execute("select coalesce(max(serial), 0) from public.cursor").fetchone()  # type: ignore[misc]
        rows = source.execute(
            "select landing_id, serial, coalesce(taken, array(select generate_series(0, records - 1)))"
            f" from collector.landing where serial > {last} and {guard}"
        ).fetchall()
        for landing_id, serial, taken in rows:
            for position in taken:
                target.execute(
                    "insert into raw.action_logs values (%s, %s, 0, gen_random_uuid(), now(), 0, '{}')",
                    (landing_id, position),
                )
            target.execute("insert into public.cursor values (%s)", (serial,))


class Bench:
    """A pair, an analytic database, and an extractor between them."""

    def __init__(
        self, pair: Any, analytic: Any, pepper: bytes, way: Callable[[str, str, bytes], None]
    ) -> None:
        self.pair, self.analytic, self.pepper = pair, analytic, pepper
        self.standby_dsn = pair.dsn("fuel_extract", standby=True)
        self.warehouse_dsn = analytic.dsn("fuel_warehouse")
        self.way = way
        self.next_id = 0

    def extract(self) -> None:
        self.way(self.standby_dsn, self.warehouse_dsn, self.pepper)

    def run(self, seed: int, steps: int = 16) -> Counter[str]:
        world = World(
            self.pair.primary, self.pair.standby, self.pair.database, self.extract, random.Random(seed),
            next_id=self.next_id,
        )  # fmt: skip
        run_schedule(world, steps)
        self.next_id = world.next_id
        return world.done

    def agrees(self) -> None:
        landed = landed_records(self.pair.dsn("fuel_admin"))
        raw = raw_records(self.analytic.dsn())
        assert len(raw) == len(set(raw))
        assert set(raw) == landed

    def joins(self) -> None:
        """Windows join, in the order of the loads; nothing was compared again or taken out: no history was lost."""
        with psycopg.connect(self.analytic.dsn()) as connection:
            windows = connection.execute(
                "select from_xid::text, to_xid::text from ops.load where state = 'loaded' order by load_id"
            ).fetchall()
            others = connection.execute(
                "select (select count(*) from ops.load where mode <> 'window'),"
                " (select count(*) from raw.removed_record)"
            ).fetchone()
        assert all(before[1] == after[0] for before, after in pairwise(windows))
        assert others == (0, 0)


def _run_all(bench: Bench, seeds: range) -> Counter[str]:
    done: Counter[str] = Counter()
    for seed in seeds:
        done += bench.run(seed)
        try:
            bench.agrees()
            bench.joins()
        except AssertionError as error:
            raise AssertionError(f"schedule {seed} lost or doubled records") from error
    done["loads"] = _loads(bench)
    report = check_integrity(bench.standby_dsn, bench.warehouse_dsn, bench.pepper, everything=True)
    assert report.mismatches == ()
    return done


def _loads(bench: Bench) -> int:
    with psycopg.connect(bench.analytic.dsn()) as connection:
        return connection.execute("select count(*) from ops.load where records > 0").fetchone()[0]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_random_schedules_lose_and_double_nothing(
    own_pair: Any, analytic_db: Any, pepper: bytes
) -> None:
    """Long transactions, rollbacks, subtransactions, standby restarts, loader kills: raw equals landing and ledger."""
    done = _run_all(Bench(own_pair, analytic_db, pepper, by_window), range(SEED, SEED + 20))
    assert min(done[step] for step in ("extract", "killed extract", "restart standby", "subtransactions")) > 0
    print(dict(done))


@pytest.mark.evidence
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(1000, 1200, 50))
def test_two_hundred_random_schedules_lose_and_double_nothing(
    own_pair: Any, analytic_db: Any, pepper: bytes, first: int
) -> None:
    """The same, ten times as often, in four parts. Writes docs/evidence/extraction-schedules.md."""
    begun = time.monotonic()
    bench = Bench(own_pair, analytic_db, pepper, by_window)
    done = _run_all(bench, range(first, first + 50))
    steps = ("extract", "killed extract", "restart standby", "begin", "subtransactions", "end", "loads")
    note(
        "extraction-schedules",
        "Extraction under random schedules",
        SCHEDULES_TEXT,
        ["schedules", "extractions", "killed", "standby restarts", "long transactions", "savepoints", "ends", "loads",
         "records", "lost or doubled", "seconds"],
        [f"{first}–{first + 49}", *(done[step] for step in steps), len(raw_records(analytic_db.dsn())), 0,
         round(time.monotonic() - begun)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "arrived"), [(by_window, 2), (by_id_watermark, 1), (by_id_cursor_with_guard, 1)]
)
def test_an_early_transaction_that_writes_late_defeats_ids(
    collector_pair: Any,
    analytic_db: Any,
    pepper: bytes,
    way: Callable[[str, str, bytes], None],
    arrived: int,
) -> None:
    """The older transaction takes the higher id and ends first: both ways by id lose the other row, ours does not."""
    dsn = collector_pair.dsn("fuel_admin")
    with psycopg.connect(dsn) as connection:
        for statement in ADD_IDS:
            connection.execute(statement)
    world = World(
        collector_pair.primary,
        collector_pair.standby,
        collector_pair.database,
        lambda: None,
        random.Random(1),
    )
    places = (collector_pair.dsn("fuel_extract", standby=True), analytic_db.dsn("fuel_warehouse"), pepper)
    with psycopg.connect(dsn) as older, psycopg.connect(dsn) as younger:
        older.execute("select pg_current_xact_id()")
        world.land(younger)
        world.land(older)
        older.commit()
        collector_pair.wait_replayed()
        way(*places)
        younger.commit()
    collector_pair.wait_replayed()
    way(*places)
    with psycopg.connect(analytic_db.dsn()) as connection:
        rows = connection.execute("select count(distinct landing_id) from raw.action_logs").fetchone()
    assert rows == (arrived,)


@pytest.mark.evidence
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", [by_id_watermark, by_id_cursor_with_guard])
def test_the_same_schedules_show_that_ids_lose_rows(
    collector_pair: Any, analytic_db: Any, pepper: bytes, way: Callable[[str, str, bytes], None]
) -> None:
    """A demonstration: an id watermark, and an id cursor with an xid guard, lose records under these schedules."""
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as connection:
        for statement in ADD_IDS:
            connection.execute(statement)
    collector_pair.wait_replayed()
    bench = Bench(collector_pair, analytic_db, pepper, way)
    for seed in range(1, 201):
        bench.run(seed)
        landed = {row[:2] for row in landed_records(collector_pair.dsn("fuel_admin"))}
        with psycopg.connect(analytic_db.dsn()) as connection:
            raw = set(connection.execute("select landing_id, position from raw.action_logs").fetchall())
        if landed - raw:
            note(
                "extraction-by-id",
                "The same schedules against extraction by id",
                BY_ID_TEXT,
                ["way", "schedules until it lost something", "records lost", "of"],
                [way.__name__, seed, len(landed - raw), len(landed)],
            )
            return
    pytest.fail(f"{way.__name__} lost nothing: the schedules are too tame to show anything")
