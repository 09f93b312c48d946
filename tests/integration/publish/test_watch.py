"""The watch on real servers: it sees exactly what an extraction would take, and survives a standby that goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from warehouse.extract import run_extract
from warehouse.pipeline_watch import Rhythm, Watch

HEARD = "insert into collector.contact (node, uid, day) values (gen_random_uuid(), 'watched', current_date)"


def look(standby: str, warehouse: str) -> Any:
    """One look by a watch of its own."""

    async def once() -> Any:
        watch = Watch(standby, warehouse)
        try:
            return await watch.look()
        finally:
            await watch.close()

    return asyncio.run(once())


def test_it_sees_what_an_extraction_would_take(collector_pair, analytic_db, pepper):
    """A row counts once its transaction has ended and the standby has it, until it is loaded."""
    standby, warehouse = (
        collector_pair.dsn("fuel_extract", standby=True),
        analytic_db.dsn("fuel_warehouse"),
    )
    assert not look(standby, warehouse).landed
    with psycopg.connect(collector_pair.dsn("postgres")) as writer:
        writer.execute(HEARD)
        collector_pair.wait_replayed()
        assert not look(standby, warehouse).landed
        writer.commit()
    collector_pair.wait_replayed()
    seen = look(standby, warehouse)
    assert (seen.watermark, seen.landed, seen.building) == (0, True, False)
    report = run_extract(standby, warehouse, pepper)
    assert report.contacts == 1
    seen = look(standby, warehouse)
    assert (seen.watermark, seen.landed) == (report.to_xid, False)


def test_it_sees_a_publication_under_way(collector_pair, analytic_db):
    """While one is built and audited the next extraction is held."""
    standby, warehouse = (
        collector_pair.dsn("fuel_extract", standby=True),
        analytic_db.dsn("fuel_warehouse"),
    )
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("insert into ops.publication (reason) values ('test')")
        assert look(standby, warehouse).building
        connection.execute("update ops.publication set state = 'failed'")
        assert not look(standby, warehouse).building


def test_a_standby_that_goes_away_and_comes_back_is_survived(own_pair, analytic_db):
    """The watch asks for a run that will say what is wrong, goes on looking, and sees the rows afterwards."""
    standby, warehouse = own_pair.dsn("fuel_extract", standby=True), analytic_db.dsn("fuel_warehouse")

    async def watched() -> list[str]:
        said = []
        reasons = Watch(standby, warehouse, Rhythm(look=0.05, apart=0, hold=0, again=0.2)).reasons()
        own_pair.standby.stop("immediate")
        said.append(await anext(reasons))
        own_pair.standby.start(tied=True)
        with psycopg.connect(own_pair.dsn("postgres"), autocommit=True) as writer:
            writer.execute(HEARD)
        async for reason in reasons:
            if reason != said[-1]:
                said.append(reason)
                break
        await reasons.aclose()
        return said

    assert asyncio.run(asyncio.wait_for(watched(), 60)) == ["a database cannot be asked", "rows have landed"]
