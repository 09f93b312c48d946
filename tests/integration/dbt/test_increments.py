"""Increments give the rows that a full refresh gives, whatever happened on the way."""

# ruff: noqa: E501 - the page is text

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

import psycopg
import pytest

from tests.integration.dbt.histories import History
from tests.integration.dbt.warehouse import REPOSITORY, Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NOW = "2026-06-01 00:00:00"
SEEDS = 12
STEPS = ("load", "load", "erase", "lose_days", "decide", "replay", "unfinished")
MODELS = (
    "fct_action",
    "fct_workload_record",
    "fct_workload_span",
    "dim_installation_history",
    "fct_node",
    "fct_cluster_snapshot",
)
EVIDENCE = REPOSITORY / "docs" / "evidence" / "dbt-increments.md"
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


@pytest.mark.evidence
@pytest.mark.timeout(3600)
def test_random_histories_equal_a_full_refresh(history_warehouse: Warehouse) -> None:
    """Whatever happens, in whatever order: after each of the random histories, increments equal a full refresh.
    Writes docs/evidence/dbt-increments.md."""
    told = [happened(history_warehouse, seed) for seed in range(SEEDS)]
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(page(told))
    assert [one for one in told if one.different] == []


@dataclass(frozen=True)
class Told:
    """What happened in a history, how many rows came of it, and the tables that a full refresh made otherwise."""

    seed: int
    steps: list[str]
    rows: int
    different: list[str]


def happened(warehouse: Warehouse, seed: int) -> Told:
    """One history from nothing: a first build, then steps drawn by the seed, each followed by a run."""
    history = History(seed=seed)
    kinds = ("action_logs", "installation_structure", "oswl_stats", "contact", "installation_decision")
    warehouse.execute(
        f"truncate {', '.join(f'raw.{kind}' for kind in kinds)}, ops.pinned_load, ops.touched_installation",
        "delete from ops.load",
    )
    with psycopg.connect(warehouse.dsn) as connection:
        history.load(connection)
    run(warehouse, "--full-refresh")
    steps = [history.random.choice(STEPS) for _ in range(history.random.randint(3, 6))]
    for before, step in pairwise(["load", *steps]):
        with psycopg.connect(warehouse.dsn) as connection:
            # After a run that did not finish, its loads are still new.
            history.load(connection, is_new_only=before != "unfinished")
            if step in {"erase", "lose_days", "decide", "replay"} and len(history.keys) > 3:
                getattr(history, step)(connection)
        if step == "unfinished":
            some = history.random.sample(sorted(MODELS), k=4)
            run(warehouse, "--select", "path:dbt_project/models/intermediate", *some)
        else:
            run(warehouse)
    run(warehouse)
    by_increments = rows(warehouse)
    run(warehouse, "--full-refresh")
    in_full = rows(warehouse)
    different = sorted(name for name in in_full if in_full[name] != by_increments.get(name))
    return Told(seed, steps, sum(count for count, _ in in_full.values()), different)


def page(told: list[Told]) -> str:
    """The evidence: each history, what happened in it, and whether the tables are the same."""
    lines = [
        "# Increments equal a full refresh",
        "",
        'Written by `make evidence PYTEST="-k random_histories"`. Each history is random: late data, skewed clocks, ids that come again',
        "with other content, gaps, and the steps below. After it, count and checksum of every published table are compared",
        f"with those of a full refresh over the same raw rows. {sum(not one.different for one in told)} of {len(told)} are equal.",
        "",
        "| seed | what happened, a run after each | rows | tables that differ |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {t.seed} | {', '.join(t.steps)} | {t.rows:,} | {', '.join(t.different) or 'none'} |" for t in told
    ]
    return "\n".join([*lines, ""])
