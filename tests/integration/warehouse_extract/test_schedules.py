"""Extraction under random schedules: nothing is lost or doubled. The obvious ways to do it lose rows."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

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


def by_window(standby: str, warehouse: str, pepper: bytes) -> None:
    """The product's way."""
    run_extract(
        standby, warehouse, pepper, options=Options(chunk_landings=5, attempts=3, backoff_seconds=0.05)
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


def _run_all(bench: Bench, seeds: range) -> Counter[str]:
    done: Counter[str] = Counter()
    for seed in seeds:
        done += bench.run(seed)
        try:
            bench.agrees()
        except AssertionError as error:
            raise AssertionError(f"schedule {seed} lost or doubled records") from error
    report = check_integrity(bench.standby_dsn, bench.warehouse_dsn, bench.pepper, everything=True)
    assert report.mismatches == ()
    return done


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
def test_two_hundred_random_schedules_lose_and_double_nothing(
    own_pair: Any, analytic_db: Any, pepper: bytes
) -> None:
    """The same, ten times as often and with longer schedules."""
    done = _run_all(Bench(own_pair, analytic_db, pepper, by_window), range(1000, 1200))
    print(dict(done))


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
            print(f"{way.__name__} lost {len(landed - raw)} of {len(landed)} records after {seed} schedules")
            return
    pytest.fail(f"{way.__name__} lost nothing: the schedules are too tame to show anything")
