"""The integrity report and reconcile: what is deleted, altered or added anywhere is noticed, named and mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from fuel_stat.identity import node_id
from warehouse import publish
from warehouse.errors import IntegrityError
from warehouse.extract import Options, run_extract
from warehouse.integrity import check_integrity, require_integrity
from warehouse.integrity_reconcile import reconcile_counts
from warehouse.reload import run_reload

UID = "5a0ad0b5-9c4a-4d22-8d3a-3d3e2a9f1c77"
YESTERDAY = datetime.now(UTC).replace(hour=12) - timedelta(days=1)
TODAY = datetime.now(UTC).date()


def action(external_id: int, uid: str = UID) -> dict[str, Any]:
    return {
        "master_node_uid": uid,
        "external_id": external_id,
        "body": {"id": external_id, "n": [1, {"a": 2.5}]},
    }


class Way:
    """The whole way on real servers: land, extract, check."""

    def __init__(self, pair: Any, analytic: Any, collector: Any, pepper: bytes) -> None:
        self.pair, self.analytic, self.collector, self.pepper = pair, analytic, collector, pepper
        self.standby = pair.dsn("fuel_extract", standby=True)
        self.warehouse = analytic.dsn("fuel_warehouse")

    def extract(self) -> Any:
        self.pair.wait_replayed()
        return run_extract(self.standby, self.warehouse, self.pepper, options=Options(backoff_seconds=0.05))

    def check(self, **options: Any) -> Any:
        self.pair.wait_replayed()
        return check_integrity(self.standby, self.warehouse, self.pepper, **options)

    def warehouse_sql(self, statement: str) -> Any:
        with psycopg.connect(self.warehouse) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    def fact(self, schema: str = "build") -> None:
        """The facts as the models build them: every action and structure, the newest version of a workload."""
        self.warehouse_sql(
            f"create table {schema}.fct_action as"
            " select landing_id, position, received_at, tier from raw.action_logs;"
            f" create table {schema}.fct_workload_record as"
            " select distinct on (installation_key, external_id, resource_type)"
            " landing_id, position, received_at, tier, installation_key,"
            " (record ->> 'id')::bigint as external_id, record ->> 'resource_type' as resource_type"
            " from raw.oswl_stats order by installation_key, external_id, resource_type, record ->> 'v' desc;"
            f" create table {schema}.int_structures_versioned as"
            " select landing_id, position, received_at as valid_from, tier from raw.installation_structure"
        )

    def published(self) -> None:
        """A publication that readers see, over all that is loaded; its tables stand in schema marts."""
        with psycopg.connect(self.warehouse, autocommit=True) as connection:
            number = publish.begin(connection).publication_id
            connection.execute(
                "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded)"
                " select %s, unnest(array['raw', 'marts']), 'x', 'x', 'warn', true",
                (number,),
            )
            publish.mark_built(connection, number)
            publish.mark_audited(connection, number)
            connection.execute(
                "update ops.publication set staged_at = now() where publication_id = %s", (number,)
            )
            publish.switch(connection, number)

    def environment(self) -> dict[str, str]:
        return {
            "FUEL_STAT_COLLECTOR_STANDBY_DSN": self.standby,
            "FUEL_STAT_COLLECTOR_ADMIN_DSN": self.pair.dsn("fuel_admin"),
            "FUEL_STAT_WAREHOUSE_DSN": self.warehouse,
            "FUEL_STAT_PEPPER": self.pepper.hex(),
        }


@pytest.fixture
def way(collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes) -> Way:
    """Landed, loaded: 8 action logs on two days and tiers, versions of a workload, a structure."""
    way = Way(collector_pair, analytic_db, collector, pepper)
    with collector.connect() as connection:
        connection.execute("select collector.ensure_partitions(%s, %s)", (YESTERDAY.date(), TODAY))
        collector.land(connection, UID, [action(n) for n in range(60, 66)], received_at=YESTERDAY)
        collector.land(connection, UID, [action(n) for n in (64, 66, 67)], taken=[1, 2], tier=1)
        workload = {"id": 7, "resource_type": "vm", "resource_data": {"current": []}}
        for version in (1, 2):
            collector.land(connection, UID, [{**workload, "v": version}], kind="oswl_stats")
            connection.execute(
                "insert into collector.ledger_version values (%s, 'oswl_stats', 'vm', 7, '') on conflict"
                " (node, kind, subtype, external_id) do update set versions = ledger_version.versions + 1",
                (node_id(UID),),
            )
        collector.land(connection, UID, [{"clusters": []}], kind="installation_structure")
        connection.execute(
            "insert into collector.ledger_latest values (%s, 'installation_structure', '')", (node_id(UID),)
        )
    way.extract()
    return way


def test_an_intact_way_agrees_at_every_stage(way: Way) -> None:
    """Each kind, day and tier has the same count and hash at ledger, landed, raw and fact; all is in ops.integrity."""
    way.fact()
    report = way.check()
    assert report.mismatches == ()
    rows = way.warehouse_sql(
        "select kind, received_day, tier, ledger_count, landed_count, raw_count, fact_count,"
        " ledger_hash = landed_hash and landed_hash = raw_hash, sealed_content_hash = raw_content_hash, agrees"
        " from ops.integrity order by 1, 2"
    )
    assert rows == [
        ("action_logs", YESTERDAY.date(), 0, 6, 6, 6, 6, True, True, True),
        ("action_logs", TODAY, 1, 2, 2, 2, 2, True, True, True),
        ("installation_structure", TODAY, 0, 1, 1, 1, 1, True, True, True),
        ("oswl_stats", TODAY, 0, 2, 2, 2, 1, True, True, True),
    ]
    assert way.warehouse_sql("select mismatches, ledger_total -> 'oswl_stats' from ops.integrity_run") == [
        (0, 2)
    ]


DAMAGES: dict[str, tuple[str, str]] = {
    "deleted": (
        "delete from raw.action_logs where record ->> 'external_id' = '62'",
        "is missing in raw",
    ),
    "altered": (
        "update raw.action_logs set record = jsonb_set(record, '{body,n,1,a}', '2.6')"
        " where record ->> 'external_id' = '62'",
        "differs from what was landed",
    ),
    "written otherwise": (
        "update raw.action_logs set record = replace(record::text, '2.5', '2.50')::jsonb"
        " where record ->> 'external_id' = '62'",
        "differs from what was landed",
    ),
    "added": (
        "insert into raw.action_logs select gen_random_uuid(), 0, load_id, installation_key, received_at, tier, record"
        " from raw.action_logs where record ->> 'external_id' = '62'",
        "was not landed",
    ),
    "swapped": (
        "update raw.action_logs as a set record = b.record from raw.action_logs as b"
        " where a.record ->> 'external_id' in ('62', '63') and b.record ->> 'external_id' in ('62', '63') and a <> b",
        "differs from what was landed",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_raw_row_is_noticed_named_and_mended(way: Way, damage: str) -> None:
    """Reconcile exits 1 and names the row, whatever was done to it; a reload of the day mends it; then it exits 0."""
    statement, words = DAMAGES[damage]
    from warehouse.cli import reconcile

    def run() -> Any:
        import typer

        single = typer.Typer()
        single.command()(reconcile)
        return CliRunner().invoke(single, ["--json"], env=way.environment())

    assert run().exit_code == 0
    assert way.warehouse_sql(statement) == (2 if damage == "swapped" else 1)
    result = run()
    assert result.exit_code == 1
    assert any(words in sentence for sentence in json.loads(result.stdout)["mismatches"])
    with pytest.raises(IntegrityError) as caught:
        require_integrity(way.standby, way.warehouse, way.pepper, days=[YESTERDAY.date()])
    assert any(words in row for row in caught.value.rows)
    assert way.warehouse_sql("select count(*) from ops.integrity where not agrees") == [(1,)]
    report = run_reload(way.standby, way.warehouse, way.pepper, YESTERDAY.date(), TODAY)
    assert report.changed
    assert run().exit_code == 0


def test_a_reload_of_intact_days_changes_nothing(way: Way) -> None:
    """Raw, loads and seals are the same to the byte after a reload; another kind or day is not read."""

    def everything() -> Any:
        return way.warehouse_sql(
            "select md5(string_agg(t::text, '' order by t::text)) from ("
            " select a::text as t from raw.action_logs as a union all select o::text from raw.oswl_stats as o"
            " union all select l::text from ops.load as l union all select s::text from ops.raw_seal as s"
            " union all select c::text from raw.contact as c) as x"
        )

    before = everything()
    report = run_reload(way.standby, way.warehouse, way.pepper, YESTERDAY.date(), TODAY)
    assert (report.changed, report.read, report.load_ids) == (False, 11, [])
    assert everything() == before
    partial = run_reload(way.standby, way.warehouse, way.pepper, TODAY, TODAY, ["oswl_stats"])
    assert partial.read == 2


def test_reloaded_rows_are_new_to_the_marts(way: Way) -> None:
    """A mended row carries the reload's load id, what was wrong is kept, and its installation is marked as touched."""
    way.warehouse_sql("update raw.action_logs set record = '{}' where record ->> 'external_id' = '62'")
    report = run_reload(way.standby, way.warehouse, way.pepper, YESTERDAY.date(), YESTERDAY.date())
    assert (report.altered, report.inserted, report.removed) == (1, 0, 0)
    (load_id,) = report.load_ids
    assert way.warehouse_sql(
        f"select record ->> 'external_id' from raw.action_logs where load_id = {load_id}"
    ) == [("62",)]
    assert way.warehouse_sql("select load_id, record from raw.removed_record") == [(load_id, {})]
    assert way.warehouse_sql("select count(*) from ops.touched_installation") == [(1,)]


def _lose_ledger(way: Way) -> None:
    with way.collector.connect() as connection:
        connection.execute("update collector.ledger_bitmap set bits = bits & ~4::bigint where bucket = 1")


def _extra_ledger(way: Way) -> None:
    with way.collector.connect() as connection:
        way.collector.note(connection, UID, [4711])


def _lose_landing(way: Way) -> None:
    with way.collector.connect() as connection:
        connection.execute("delete from collector.landing where tier = 1")


def _lose_fact(way: Way) -> None:
    way.warehouse_sql("delete from build.fct_action where position = 3")


def _extra_fact(way: Way) -> None:
    way.warehouse_sql(
        "insert into build.fct_action select gen_random_uuid(), 0, received_at, 0 from build.fct_action limit 1"
    )


def _lose_workload(way: Way) -> None:
    way.warehouse_sql("delete from build.fct_workload_record")


def _extra_workload(way: Way) -> None:
    way.warehouse_sql("update build.fct_workload_record set landing_id = gen_random_uuid()")


def _lose_structure(way: Way) -> None:
    way.warehouse_sql("delete from build.int_structures_versioned")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_lose_workload, "oswl_stats"),
        (_extra_workload, "is in the fact and not in raw"),
        (_lose_structure, "installation_structure"),
        (_lose_ledger, "ledger"),
        (_extra_ledger, "the ledger knows 9 records, 8 were landed"),
        (_lose_landing, "was not landed"),
        (_lose_fact, "is missing in the fact"),
        (_extra_fact, "is in the fact and not in raw"),
    ],
)
def test_damage_at_any_other_stage_is_noticed(way: Way, damage: Callable[[Way], None], words: str) -> None:
    """A key lost from or only in the ledger, a lost landing, a fact with too few or too many rows: each is named."""
    way.fact()
    assert way.check(everything=True).agrees
    damage(way)
    report = way.check(everything=True)
    assert any(words in sentence for sentence in report.mismatches), report.mismatches


def test_a_row_that_an_earlier_publication_brought_may_not_vanish(way: Way) -> None:
    """What readers see is held against all loads that were ever published, not only those of the last publication."""
    way.published()
    with way.collector.connect() as connection:
        way.collector.land(connection, UID, [action(70)], received_at=YESTERDAY)
    way.extract()
    way.published()
    way.fact("marts")
    assert way.check(everything=True, required=("published",)).mismatches == ()
    way.warehouse_sql("delete from marts.fct_action where position = 3")
    report = way.check(everything=True, required=("published",))
    assert any("is missing in the fact" in sentence for sentence in report.mismatches), report.mismatches


def test_loads_after_the_pin_are_no_mismatch_of_the_fact(way: Way) -> None:
    """What was loaded, reloaded or removed after the facts' loads were pinned does not block them."""
    way.fact()
    way.warehouse_sql("insert into ops.pinned_load select load_id, true, 0 from ops.load")
    with way.collector.connect() as connection:
        way.collector.land(connection, UID, [action(70)], received_at=YESTERDAY)
    way.extract()
    report = way.check()
    assert report.mismatches == ()
    (row,) = [row for row in report.rows if row.place == ("action_logs", YESTERDAY.date(), 0)]
    assert (row.raw.all.count, row.fact.count, row.raw.pending.count) == (7, 6, 1)


def test_only_touched_and_stale_days_are_looked_at(way: Way) -> None:
    """Without days, a check looks at what loads touched since the last one, at mismatches, and at a few old days."""
    way.check()
    old = [date(2026, 1, 1) + timedelta(days=n) for n in range(10)]
    with psycopg.connect(way.analytic.dsn()) as connection:
        for day in old:
            connection.execute(
                "insert into ops.integrity (kind, received_day, tier, agrees, checked_at)"
                " values ('action_logs', %s, 0, true, now() - interval '1 day')",
                (day,),
            )
    way.check()
    left = way.warehouse_sql("select count(*) from ops.integrity where received_day < '2026-02-01'")
    assert left == [(7,)]


def test_the_tally_of_the_senders_counts(way: Way, tmp_path: Path) -> None:
    """Keys that were answered as stored and are not in the ledger are a mismatch; more than that is not."""

    def tally(added: int, sent: int) -> Any:
        path = tmp_path / "tally.json"
        kinds = {"action_logs": {"sent": sent, "added": added, "existed": 0, "failed": 1, "unanswered": 0}}
        path.write_text(json.dumps({"kinds": kinds}))
        return reconcile_counts(way.standby, way.warehouse, way.pepper, path)

    fine = tally(8, 9)
    assert (fine.agrees, fine.counts["action_logs"]["sent"], fine.failed) == (True, 9, {"action_logs": 1})
    assert not tally(9, 10).agrees
    assert not tally(8, 10).agrees


def test_an_erased_installation_leaves_everything_in_agreement(way: Way) -> None:
    """After an erasure on both sides the stages agree again and nothing of the installation is left."""
    with way.collector.connect() as connection:
        way.collector.land(connection, "another-node-1", [action(1, "another-node-1")])
    way.extract()
    way.fact()
    with way.collector.connect() as connection:
        connection.execute("select * from collector.erase_node(%s)", (UID,))
    from fuel_stat.identity import installation_key

    way.warehouse_sql(
        "drop table build.fct_action, build.fct_workload_record, build.int_structures_versioned"
    )
    way.warehouse_sql(f"select ops.remove_installation('{installation_key(way.pepper, UID)}')")
    assert way.extract().removed == 0
    assert way.check(everything=True).mismatches == ()
    assert way.warehouse_sql("select count(*) from raw.action_logs") == [(1,)]
