"""How the models' tables are kept: their statistics, and the order in which their keys are held."""

from __future__ import annotations

import json

import pytest

from tests.integration.dbt.warehouse import Warehouse

pytestmark = pytest.mark.slow
LOOKED_AT = "select analyze_count from pg_stat_all_tables where relid = 'build.fct_action'::regclass"


def test_statistics_are_renewed_when_a_tenth_has_changed(golden_warehouse: Warehouse) -> None:
    """A run that changes little does not look through a large table; one that finds much changed does."""

    def looked_at_by_a_run() -> int:
        [(before,)] = golden_warehouse.query(LOOKED_AT)
        assert golden_warehouse.dbt("run", "--select", "fct_action").success
        [(after,)] = golden_warehouse.query(LOOKED_AT)
        return int(after - before)

    some = (
        "update build.fct_action set tier = tier where ctid in (select ctid from build.fct_action limit %s)"
    )
    [(rows,)] = golden_warehouse.query("select count(*) from build.fct_action")
    golden_warehouse.execute(
        "alter table build.fct_action set (autovacuum_enabled = off)", "analyze build.fct_action"
    )
    golden_warehouse.execute(some % (rows // 20))
    assert looked_at_by_a_run() == 0
    golden_warehouse.execute(some % (rows // 10))
    assert looked_at_by_a_run() == 1
    assert looked_at_by_a_run() == 0


def test_autovacuum_has_nothing_left_to_look_at(golden_warehouse: Warehouse) -> None:
    """What a run has looked at counts as unchanged since: nothing looks through it again in the background."""
    assert golden_warehouse.dbt("run", "--full-refresh", "--select", "fct_node").success
    changed = """
        select n_mod_since_analyze, analyze_count, n_live_tup > 0 from pg_stat_all_tables
        where relid = 'build.fct_node'::regclass
    """
    assert golden_warehouse.query(changed) == [(0, 1, True)]


def test_every_table_that_models_read_has_statistics(golden_warehouse: Warehouse) -> None:
    """A table without them is joined by guesses: what was built anew was looked at, however small."""
    unknown = """
        select c.relname from pg_class as c
        where c.relnamespace = 'build'::regnamespace and c.relkind = 'r' and c.relname ~ '^(int|dim|fct|bridge)_'
            and c.reltuples <> 0
            and not exists (select from pg_stats as s where s.schemaname = 'build' and s.tablename = c.relname)
    """
    assert golden_warehouse.query(unknown) == []


def test_days_that_are_added_lie_together(golden_warehouse: Warehouse) -> None:
    """In the keys of what grows by the day, the day stands before the environment: a new day then touches the same few
    pages of the key's index, however much history is before it."""
    keys = """
        select c.conrelid::regclass::text, array(
            select a.attname::text from unnest(c.conkey) with ordinality as k (attnum, place)
            inner join pg_attribute as a on c.conrelid = a.attrelid and k.attnum = a.attnum order by k.place
        )
        from pg_constraint as c where c.contype = 'p' and c.connamespace = 'build'::regnamespace
    """
    found = {str(name).removeprefix("build."): columns for name, columns in golden_warehouse.query(keys)}
    daily = {
        "fct_cluster_snapshot": "snapshot_day",
        "fct_workload_daily": "stats_on_date",
        "fct_workload_resource": "stats_on_date",
    }
    scattered = [n for n, day in daily.items() if found[n].index(day) > found[n].index("cluster_key")]
    assert scattered == []


def test_every_column_that_is_built_is_described(golden_warehouse: Warehouse) -> None:
    """Documentation coverage is 100% of what there really is: no relation has a column that its yml does not name, and
    none is named that is not there."""
    manifest = json.loads((golden_warehouse.folder / "target" / "manifest.json").read_text())
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] in {"model", "seed"}]
    named = {(n["name"], column) for n in nodes for column in n["columns"]}
    built = """
        select c.relname, a.attname from pg_attribute as a inner join pg_class as c on a.attrelid = c.oid
        where c.relnamespace = 'build'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
    """
    assert named == set(golden_warehouse.query(built))
