"""Extraction from the standby into raw: what is loaded, in what form, and what a run says about it."""

from __future__ import annotations

import time
import uuid
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from warehouse.errors import ExtractionError
from warehouse.extract import LoadReport, Options, run_extract


def load(
    pair: Any, analytic: Any, pepper: bytes, *, primary_dsn: str | None = None, **options: Any
) -> LoadReport:
    pair.wait_replayed()
    return run_extract(
        pair.dsn("fuel_extract", standby=True),
        analytic.dsn("fuel_warehouse"),
        pepper,
        primary_dsn=primary_dsn or pair.dsn("fuel_admin"),
        options=Options(**{"backoff_seconds": 0.05, **options}),
    )


def query(analytic: Any, statement: str) -> list[Any]:
    with psycopg.connect(analytic.dsn()) as connection:
        return connection.execute(statement).fetchall()


UID = "0b9fd8b6-3f6f-4a4c-8a49-6a6e3a1a9f55"


def test_records_are_expanded_once_as_taken_says(
    collector_pair, analytic_db, collector, module, pepper, key_of
):
    """Only the taken positions reach raw, under the pseudonym, in the order of the request; a second run adds none."""
    records = [module.action(UID, number) for number in range(4)]
    with collector.connect() as connection:
        landing = collector.land(connection, UID, records, taken=[1, 3], tier=1)
    report = load(collector_pair, analytic_db, pepper)
    assert (report.landings, report.records, report.contacts, report.unreadable) == (1, 2, 1, 0)
    rows = query(
        analytic_db,
        "select landing_id, position, installation_key, tier, record ->> 'external_id' from raw.action_logs"
        " order by position",
    )
    assert rows == [(landing, 1, key_of(UID), 1, "1"), (landing, 3, key_of(UID), 1, "3")]
    again = load(collector_pair, analytic_db, pepper)
    assert (again.records, again.from_xid >= report.to_xid) == (0, True)
    assert len(query(analytic_db, "select 1 from raw.action_logs")) == 2


def test_the_uid_never_enters_the_analytic_database(
    collector_pair, analytic_db, collector, module, pepper, key_of
):
    """The member master_node_uid is left out; the uid anywhere else, however escaped, becomes the pseudonym."""
    record = module.action(UID, 1, additional_info={"note": f"node {UID}!", UID: [UID]})
    envelope = {"action_logs": [record]}
    with collector.connect() as connection:
        collector.land(connection, UID, [record], document=envelope)
        escaped = str([record]).replace("'", '"').replace("6a6e3a1a9f55", "6a6e3a1a9f5\\u0035")
        connection.execute("select 1")
        collector.land(connection, UID, [record, record], taken=[1])
        assert escaped
    load(collector_pair, analytic_db, pepper)
    texts = query(analytic_db, "select record::text from raw.action_logs")
    assert len(texts) == 2
    for (text,) in texts:
        assert UID not in text
        assert f"node {key_of(UID)}!" in text
    dump = query(analytic_db, f"select count(*) from raw.contact as c where c::text like '%{UID}%'")
    assert dump == [(0,)]


def test_late_commits_are_not_lost(collector_pair, analytic_db, collector, module, pepper):
    """A transaction that began before a load and commits after it comes with the next load; it holds the window."""
    with collector.connect() as slow, collector.connect() as quick:
        collector.land(slow, "slow", [module.action("slow", 1)])
        collector.land(quick, "quick", [module.action("quick", 2)])
        quick.commit()
        held = load(collector_pair, analytic_db, pepper)
        assert held.records == 0
        holder = held.oldest_transaction
        assert holder is not None
        assert (holder["database"], holder["pid"]) == (collector_pair.database, slow.info.backend_pid)
        slow.commit()
    assert load(collector_pair, analytic_db, pepper).records == 2
    assert query(analytic_db, "select count(*) from raw.action_logs") == [(2,)]


def test_who_holds_the_window_is_alarmed(
    collector_pair, analytic_db, collector, module, pepper, tmp_path, monkeypatch
):
    """A transaction that stays open beyond the threshold, in whatever database of the cluster, raises an alarm that
    names database, process, role and how long; it is told once while it stands, and again when it comes back."""
    from warehouse.extract_alarms import Thresholds

    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    thresholds = Thresholds(transaction_seconds=0.05)
    told = "select message from ops.pipeline_failure where code = 'window_held' order by 1"
    for times in (1, 2):
        with (
            psycopg.connect(collector_pair.primary.dsn("postgres")) as foreign,
            collector.connect() as connection,
        ):
            foreign.execute("select pg_current_xact_id(), pg_sleep(0.1)")
            collector.land(connection, "quick", [module.action("quick", times)])
            connection.commit()
            for _ in range(2):
                report = load(collector_pair, analytic_db, pepper, thresholds=thresholds)
                assert report.records == 0
            (alarm,) = report.alarms
            assert alarm.code == "window_held"
            process = foreign.info.backend_pid
            assert f"in database postgres, role postgres, process {process}, application" in alarm.sentence
            assert "open for" in alarm.sentence
            assert len(query(analytic_db, told)) == times
        rows = query(
            analytic_db,
            "select alarms -> 0 ->> 'code', oldest_transaction ->> 'database', oldest_transaction ->> 'pid',"
            " oldest_transaction ->> 'role', (oldest_transaction ->> 'seconds')::float > 0.05"
            " from ops.load order by load_id desc limit 1",
        )
        assert rows == [("window_held", "postgres", str(process), "postgres", True)]
        report = load(collector_pair, analytic_db, pepper, thresholds=thresholds)
        assert (report.records, report.alarms) == (1, ())
    assert "window_held" in (tmp_path / "metrics" / "pipeline.prom").read_text()


def test_a_prepared_transaction_is_named():
    """Where the holder is a prepared transaction that nobody finishes, the alarm says its name."""
    from warehouse.extract_alarms import Snapshot, Thresholds, alarms_of

    holder = {"xid": 7, "database": "postgres", "role": "r", "pid": None, "application": "gid-1", "prepared": True,
              "seconds": 3.0}  # fmt: skip
    snapshot = Snapshot(7, 9, True, "1", 1, 400.0)
    alarms = alarms_of(snapshot, holder, Thresholds(transaction_seconds=2))
    assert [alarm.code for alarm in alarms] == ["standby_lags", "window_held"]
    assert "in database postgres, role r, prepared as 'gid-1' has been open for 3 s" in alarms[1].sentence
    unknown = {"xid": 7, "unknown": "the primary's address was not given", "seconds": 3.0}
    (_, alarm) = alarms_of(snapshot, unknown, Thresholds(transaction_seconds=2))
    assert "(the primary's address was not given)" in alarm.sentence


def sessions(primary: Any, database: str) -> int:
    """How many sessions a database has had. A backend reports when it ends, a moment after its client is gone."""
    time.sleep(0.5)
    with psycopg.connect(primary.dsn("postgres")) as connection:
        row = connection.execute("select sessions from pg_stat_database where datname = %s", (database,))
        return row.fetchone()[0]


def test_the_primary_is_asked_only_who_holds_a_window_that_stands(
    collector_pair, analytic_db, collector, module, pepper
):
    """While the window moves or nothing waits, extraction leaves the primary alone; one that stands still it asks
    about once in ten seconds, and what it said is repeated with the next loads."""
    # Any database of the primary can tell: one that nobody else uses counts the questions.
    asked_at = {"primary_dsn": collector_pair.primary.dsn("template1", "fuel_admin")}
    before = sessions(collector_pair.primary, "template1")
    with collector.connect() as slow, collector.connect() as quick:
        collector.land(quick, "quick", [module.action("quick", 1)])
        quick.commit()
        assert load(collector_pair, analytic_db, pepper, **asked_at).records == 1
        assert load(collector_pair, analytic_db, pepper, **asked_at).oldest_transaction is None
        for number in (2, 3):
            collector.land(quick, "quick", [module.action("quick", number)])
            quick.commit()
            if number == 2:
                collector.land(slow, "slow", [module.action("slow", 1)])
        moved = load(collector_pair, analytic_db, pepper, **asked_at)
        assert moved.records == 1
        assert moved.oldest_transaction["unknown"] == "the window moved: the primary was not asked"
        assert sessions(collector_pair.primary, "template1") == before
        held = [load(collector_pair, analytic_db, pepper, **asked_at).oldest_transaction for _ in range(3)]
        assert [holder["pid"] for holder in held] == [slow.info.backend_pid] * 3
        assert held[2]["first_seen_at"] == moved.oldest_transaction["first_seen_at"]
        assert sessions(collector_pair.primary, "template1") == before + 1


def test_a_backlog_is_chunked(collector_pair, analytic_db, collector, module, pepper):
    """A large backlog becomes several loads whose windows join; one transaction is never divided."""
    for start in range(0, 40, 10):
        with collector.connect() as connection:
            for number in range(start, start + 10):
                collector.land(connection, f"node-{number:04}", [module.action("x", number)])
    report = load(collector_pair, analytic_db, pepper, chunk_landings=7)
    assert report.records == 40
    rows = query(
        analytic_db,
        "select from_xid::text::bigint, to_xid::text::bigint, landings from ops.load order by load_id",
    )
    assert [landings for _, _, landings in rows] == [10, 10, 10, 10]
    assert all(before[1] == after[0] for before, after in pairwise(rows))


def test_records_that_jsonb_cannot_hold_are_marked_not_lost(
    collector_pair, analytic_db, collector, module, pepper, tmp_path, monkeypatch
):
    """A number that overflows and a payload that is no zstd frame leave marked rows; their neighbours are loaded."""
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    good = module.action("node-good-1", 1)
    with collector.connect() as connection:
        collector.land(connection, "node-good-1", [good])
        huge = collector.land(connection, "node-huge-1", [good, good], contact=False)
        broken = collector.land(connection, "node-broken-1", [good, good, good], taken=[0, 2], contact=False)
        import zstandard

        text = b'[{"external_id": 1, "body": {"a": 1e999999}}, {"external_id": 2, "nul": "a\\u0000b"}]'
        connection.execute(
            "update collector.landing set payload = %s where landing_id = %s",
            (zstandard.compress(text), huge),
        )
        connection.execute("update collector.landing set payload = 'x' where landing_id = %s", (broken,))
    report = load(collector_pair, analytic_db, pepper)
    assert (report.records, report.unreadable) == (5, 3)
    assert [alarm.code for alarm in report.alarms] == ["unreadable_records"]
    rows = query(analytic_db, "select landing_id, position, record ->> '_unreadable' from raw.action_logs")
    assert {row for row in rows if row[2]} == {
        (huge, 0, "22003"),
        (broken, 0, "bad_frame"),
        (broken, 2, "bad_frame"),
    }
    assert query(analytic_db, "select record ->> 'nul' from raw.action_logs where record ? 'nul'") == [
        ("a\ufffdb",)
    ]


def test_a_kind_of_tomorrow_needs_no_migration(collector_pair, analytic_db, collector, pepper):
    """A kind that raw has never seen gets its table; the structure's document may be the object itself."""
    with collector.connect() as connection:
        collector.land(connection, UID, [{"a": 1}, {"a": 2}], kind="lbaas_stats")
        structure = {"master_node_uid": UID, "clusters": [{"id": 1}], "clusters_num": 1}
        collector.land(connection, UID, [structure], kind="installation_structure", document=structure)
        wrapped = {"installation_structure": {**structure, "clusters_num": 2}}
        collector.land(connection, UID, [structure], kind="installation_structure", document=wrapped)
    assert load(collector_pair, analytic_db, pepper).records == 4
    assert query(analytic_db, "select record from raw.lbaas_stats order by position") == [
        ({"a": 1},),
        ({"a": 2},),
    ]
    rows = query(
        analytic_db, "select record from raw.installation_structure order by record ->> 'clusters_num'"
    )
    assert rows == [({"clusters": [{"id": 1}], "clusters_num": n},) for n in (1, 2)]


def test_contacts_and_decisions_come_along(collector_pair, analytic_db, collector, pepper, key_of):
    """Contacts and decisions follow their transactions; a decision that was taken again replaces the first."""
    from fuel_stat.identity import node_id

    statement = (
        "insert into collector.installation_decision (node, uid, is_filtered, source) values (%s, %s, %s, 'test')"
        " on conflict (node) do update set is_filtered = excluded.is_filtered, xid = pg_current_xact_id()"
    )
    for is_filtered in (True, False):
        with collector.connect() as connection:
            connection.execute(statement, (node_id(UID), UID, is_filtered))
        load(collector_pair, analytic_db, pepper)
        rows = query(analytic_db, "select installation_key, is_filtered from raw.installation_decision")
        assert rows == [(key_of(UID), is_filtered)]


def test_an_absent_standby_fails_visibly(collector_pair, analytic_db, pepper):
    """Without the standby the run fails with its code, and a failed load row says so."""
    with pytest.raises(ExtractionError) as caught:
        run_extract(
            "postgresql://fuel_extract:x@127.0.0.1:1/collector", analytic_db.dsn("fuel_warehouse"), pepper,
            options=Options(attempts=2, backoff_seconds=0.01),
        )  # fmt: skip
    assert caught.value.code == "source_unavailable"
    assert query(analytic_db, "select state, error like '%source_unavailable%' from ops.load") == [
        ("failed", True)
    ]


def test_a_window_under_another_watermark_is_compared_not_copied(
    collector_pair, analytic_db, collector, module, pepper
):
    """Rows that are in raw already (the load rows were lost) are found by landing id; nothing is doubled."""
    with collector.connect() as connection:
        collector.land(connection, UID, [module.action(UID, 1)])
    load(collector_pair, analytic_db, pepper)
    with psycopg.connect(analytic_db.dsn()) as connection:
        connection.execute("truncate ops.load cascade")
    with collector.connect() as connection:
        collector.land(connection, UID, [module.action(UID, 2)])
    assert load(collector_pair, analytic_db, pepper).records == 1
    assert len({row[0] for row in query(analytic_db, "select landing_id from raw.action_logs")}) == 2


def test_a_different_server_is_refused(collector_pair, analytic_db, collector, module, pepper):
    """A source that has nothing of what was loaded is refused, and nothing is removed, until it is accepted."""
    with collector.connect() as connection:
        collector.land(connection, UID, [module.action(UID, 1)])
    load(collector_pair, analytic_db, pepper)
    with collector.connect() as connection:
        connection.execute("delete from collector.landing")
        connection.execute("delete from collector.contact")
        other = collector.land(connection, UID, [module.action(UID, 2)])
    with pytest.raises(ExtractionError) as caught:
        load(collector_pair, analytic_db, pepper)
    assert caught.value.code == "source_shares_no_history"
    assert len(query(analytic_db, "select 1 from raw.action_logs")) == 1
    report = load(collector_pair, analytic_db, pepper, accept_new_source=True)
    assert report.resync is not None
    assert (report.resync.inserted_records, report.removed) == (1, 1)
    assert query(analytic_db, "select landing_id from raw.action_logs") == [(other,)]
    assert query(analytic_db, "select record ->> 'external_id' from raw.removed_record") == [("1",)]
    assert load(collector_pair, analytic_db, pepper).resync is None


@pytest.fixture
def module() -> Any:
    """The builders of records."""
    from types import SimpleNamespace

    def action(uid: str, external_id: int, **body: Any) -> dict[str, Any]:
        inner = {
            "id": external_id,
            "action_type": "nailgun_task",
            "end_timestamp": "2026-11-01T10:05:00",
            **body,
        }
        return {"master_node_uid": uid, "external_id": external_id, "body": inner}

    return SimpleNamespace(action=action, uuid=uuid)
