"""The integrity equation over what dbt really builds: each record of raw is in its fact, or gave way to a newer one."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from tests.integration.dbt.warehouse import Warehouse
from warehouse import integrity_stages as stages


@pytest.mark.parametrize("kind", sorted(stages.FACTS))
def test_the_fact_has_every_record_of_raw(golden_warehouse: Warehouse, kind: str) -> None:
    """By receive day and tier, count and hash: raw less what nobody could read and what is superseded is the fact."""
    with psycopg.connect(golden_warehouse.dsn) as connection:
        raw = stages.raw(connection, kind, None)
        fact = stages.fact(connection, kind, "build", None)
        gone = stages.superseded(connection, kind, "fact", "build", None)
    assert fact is not None
    assert sum(tally.count for tally in fact.values()) > 70
    expected: Counter[tuple[object, str]] = Counter()
    for place, tally in raw.items():
        expected[place, "count"] = tally.all.count - tally.unreadable.count
        expected[place, "hash"] = tally.all.hash - tally.unreadable.hash
    for place, tally in gone.items():
        expected[place, "count"] -= tally.count
        expected[place, "hash"] -= tally.hash
    found = {
        key: value
        for place, tally in fact.items()
        for key, value in (((place, "count"), tally.count), ((place, "hash"), tally.hash))
    }
    assert {key: value for key, value in expected.items() if value} == found
