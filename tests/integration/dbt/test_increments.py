"""Increments give the rows that a full refresh gives, whatever happened on the way."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.integration.dbt.histories import History
from tests.integration.dbt.warehouse import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NOW = "2026-06-01 00:00:00"
# Where the order of rows within a number does not matter, the number itself may differ: none so far.
PUBLISHED = """
select c.relname from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
where n.nspname = 'build' and c.relkind = 'r' and c.relname ~ '^(dim|fct|bridge|rpt)_' order by 1
"""


def rows(warehouse: Warehouse) -> dict[str, tuple[int, str]]:
    """Count and order-independent checksum of every published table."""
    found = {}
    for (name,) in warehouse.query(PUBLISHED):
        [(count, checksum)] = warehouse.query(
            f"select count(*)::integer, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
            f" from build.{name} as t"
        )
        found[name] = (count, checksum)
    return found


def run(warehouse: Warehouse, *arguments: str) -> None:
    """A dbt run that succeeds."""
    outcome = warehouse.dbt("run", *arguments, as_of=NOW)
    assert outcome.success, outcome.errors


def days(warehouse: Warehouse, key: UUID) -> int:
    """In how many facts an installation still is."""
    facts = ("fct_action", "fct_workload_daily", "fct_workload_resource", "fct_cluster_snapshot", "fct_node")
    union = " union all ".join(f"select 1 from build.{name} where installation_key = %s" for name in facts)
    return len(warehouse.query(union, *[key] * len(facts)))


def test_increments_equal_a_full_refresh(history_warehouse: Warehouse) -> None:
    """Late data, skewed clocks, duplicates, late versions, gaps, an unfinished run, an erasure and corrected days."""
    warehouse, history = history_warehouse, History(seed=20261123)
    with psycopg.connect(warehouse.dsn) as connection:
        history.load(connection)
        history.load(connection, is_new_only=False)
    run(warehouse, "--full-refresh")

    # A run that stops half-way: its loads stay new, and the next run covers them with its own.
    with psycopg.connect(warehouse.dsn) as connection:
        history.load(connection)
    run(warehouse, "--select", "path:dbt_project/models/intermediate", "fct_action", "fct_workload_record")
    with psycopg.connect(warehouse.dsn) as connection:
        history.load(connection, is_new_only=False)
    run(warehouse)

    with psycopg.connect(warehouse.dsn) as connection:
        history.load(connection)
        erased = history.erase(connection)
        history.lose_days(connection)
    assert days(warehouse, erased) > 0
    run(warehouse)
    assert days(warehouse, erased) == 0

    by_increments = rows(warehouse)
    run(warehouse, "--full-refresh")
    in_full = rows(warehouse)
    different = {name for name in in_full if in_full[name] != by_increments[name]}
    assert different == set()
    empty = {name for name, (count, _) in in_full.items() if count == 0}
    assert empty <= {"rpt_upgrade_path"}


def test_the_same_loads_again_change_nothing(history_warehouse: Warehouse) -> None:
    """A run repeated over loads that it has covered leaves every table as it is."""
    before = rows(history_warehouse)
    run(history_warehouse, "--select", "int_installations_touched", "config.materialized:incremental")
    assert rows(history_warehouse) == before
