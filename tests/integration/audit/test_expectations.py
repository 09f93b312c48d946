"""Every expectation is seen to fail: each has a row that breaks it, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from expectations import marts, raw
from expectations.measures import Measure, Subject
from warehouse import audit, publish

KEY = "00000000-0000-0000-0000-000000000001"
ACTION = {"external_id": 1, "body": {"action_type": "http_request", "action_name": "deploy"}}
STRUCTURE = {"clusters": [], "fuel_release": {"release": "8.0"}, "fuel_packages": ["a"]}
WORKLOAD = {
    "id": 1,
    "resource_type": "vm",
    "resource_data": {"added": [], "current": [], "removed": [], "modified": []},
}
GOOD = {"action_logs": ACTION, "installation_structure": STRUCTURE, "oswl_stats": WORKLOAD}
MARTS = """
create table build.dim_installation (installation_key uuid, first_contact_day date, last_contact_day date,
    is_filtered boolean, has_structure boolean, note text);
create table build.fct_action (installation_key uuid, external_id bigint, received_at timestamptz, event_day date,
    duration_seconds numeric, action_name text);
create table build.fct_workload_record (installation_key uuid, external_id bigint, resource_type text, record_day date);
create table build.rpt_installation_distribution (measure text, amount bigint);
insert into raw.contact values ('{key}', current_date, 0, now(), 1);
insert into build.dim_installation values ('{key}', current_date, current_date, false, true, 'fine');
insert into build.fct_action values ('{key}', 1, now(), (now() at time zone 'UTC')::date, 1, 'deploy');
insert into build.fct_workload_record values ('{key}', 1, 'vm', current_date);
insert into build.rpt_installation_distribution values ('installations', 1);
"""


def _record(kind: str, record: Any, *, received: str = "now()", tier: int = 0) -> str:
    text = json.dumps(record).replace("'", "''")
    return (
        f"insert into raw.{kind} values (gen_random_uuid(), 0, 1, '{KEY}', {received}, {tier}, '{text}');"
        f"update ops.load_window set records = records + 1 where kind = '{kind}'"
    )


def _common(kind: str) -> dict[str, str]:
    good = GOOD[kind]
    return {
        f"{kind}_is_object": _record(kind, [1]),
        f"{kind}_received_in_past": _record(kind, good, received="now() + interval '1 day'"),
        f"{kind}_tier_known": _record(kind, good, tier=7),
        f"{kind}_without_uid": _record(kind, {**good, "master_node_uid": "x"}),
        f"{kind}_identifies_nobody": _record(kind, {**good, "who": "jane.doe@example.com"}),
    }


def _body(**changes: Any) -> dict[str, Any]:
    return {**ACTION, "body": {**ACTION["body"], **changes}}  # type: ignore[dict-item]


def _cluster(**fields: Any) -> str:
    """A structure of 8.0 with one cluster."""
    return _record("installation_structure", {**STRUCTURE, "clusters": [fields]})


RAW_BREAKS = {
    **_common("action_logs"),
    **_common("installation_structure"),
    **_common("oswl_stats"),
    "action_logs_external_id_is_integer": _record("action_logs", {**ACTION, "external_id": 1.5}),
    "action_logs_body_is_object": _record("action_logs", {**ACTION, "body": 3}),
    "action_logs_action_type_known": _record("action_logs", _body(action_type="other")),
    "action_logs_tasks_finished": _record(
        "action_logs", _body(action_type="nailgun_task", end_timestamp=None)
    ),
    "action_logs_with_name_share": _record("action_logs", _body(action_name=None)),
    "structures_have_clusters": _record("installation_structure", {**STRUCTURE, "clusters": "none"}),
    "structures_release_known": _record(
        "installation_structure", {**STRUCTURE, "fuel_release": {"release": "99"}}
    ),
    "structures_identified_by_release": _record(
        "installation_structure", {"clusters": [], "fuel_release": {"release": "9.0"}}
    ),
    "structures_statuses_of_release": _cluster(status="partially_deployed"),
    "structures_modes_known": _cluster(mode="solo"),
    "structures_oses_of_release": _cluster(release={"os": "CentOS"}),
    "workloads_resource_type_known": _record("oswl_stats", {**WORKLOAD, "resource_type": "secret"}),
    "workloads_data_complete": _record("oswl_stats", {**WORKLOAD, "resource_data": {"added": []}}),
    "loads_hold_what_the_source_said": "update ops.load_window set records = records + 1",
    "loads_age_minutes": "update ops.load set finished_at = now() - interval '3 hours'",
    "loads_unreadable": "update ops.load set unreadable = 1",
    "volume_of_yesterday_against_usual": "insert into ops.raw_seal select 'action_logs',"
    " (now() at time zone 'UTC')::date - i, 0,"
    " case when i = 1 then 10 else 1000 end, 0 from generate_series(1, 15) as i",
}
MARTS_BREAKS = {
    "installation_key_unique": "insert into build.dim_installation select * from build.dim_installation",
    "installation_contact_in_order": "update build.dim_installation set first_contact_day = last_contact_day + 1",
    "installations_reconcile_with_contacts": "insert into raw.contact values"
    " (gen_random_uuid(), current_date, 0, now(), 1)",
    "installations_not_lost_share": "insert into ops.publication_table values"
    " ((select publication_id from ops.published), 'dim_installation', 10, 0, 0, 0)",
    "action_key_unique": "insert into build.fct_action select * from build.fct_action",
    "actions_reconcile_with_raw": _record("action_logs", {**ACTION, "external_id": 2})
    + ";"
    + _record("action_logs", {**ACTION, "external_id": 3}),
    "actions_have_installation": "update build.fct_action set installation_key = gen_random_uuid()",
    "actions_within_clamp": "update build.fct_action set event_day = event_day + 2",
    "actions_duration_positive": "update build.fct_action set duration_seconds = -1",
    "workload_key_unique": "insert into build.fct_workload_record select * from build.fct_workload_record",
    "workloads_reconcile_with_raw": _record("oswl_stats", {**WORKLOAD, "id": 2})
    + ";"
    + _record("oswl_stats", {**WORKLOAD, "id": 3}),
    "reports_leave_filtered_out": "update build.dim_installation set is_filtered = true",
    "action_mix_drift": "insert into build.fct_action select gen_random_uuid(), 1, now(),"
    " (now() at time zone 'UTC')::date - case when i % 2 = 0 then 1 else 9 end, 1,"
    " case when i % 2 = 0 then 'new' else 'old' end from generate_series(1, 1200) as i",
    "workload_mix_drift": "insert into build.fct_workload_record select gen_random_uuid(), 1,"
    " case when i % 2 = 0 then 'vm' else 'image' end,"
    " (now() at time zone 'UTC')::date - case when i % 2 = 0 then 1 else 9 end from generate_series(1, 1200) as i",
    "nothing_identifies": "update build.dim_installation set note = '00:16:3e:aa:bb:cc'",
}


@pytest.fixture
def connection(analytic_db: Any) -> Iterator[psycopg.Connection[Any]]:
    """A load with one good record a kind, marts that agree with it, and an earlier publication."""
    with psycopg.connect(analytic_db.dsn("fuel_warehouse"), autocommit=True) as opened:
        opened.execute("set timezone to 'UTC'")
        opened.execute("insert into ops.load (state, finished_at) values ('loaded', now())")
        for kind, record in GOOD.items():
            opened.execute(
                "insert into ops.load_window (load_id, kind, received_day, tier, landings, records, bytes,"
                " landing_hash)"
                " values (1, %s, current_date, 0, 1, 0, 1, 1)",
                (kind,),
            )
            opened.execute(_record(kind, record).encode())
        opened.execute(MARTS.format(key=KEY).encode())
        opened.execute("create table build.tmp as select 1 as one")
        yield opened


def _published(connection: psycopg.Connection[Any]) -> int:
    """A publication that readers see, so that comparisons with the published one have something to compare with."""
    found = publish.begin(connection).publication_id
    for suite in ("raw", "marts"):
        connection.execute(
            "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded)"
            " values (%s, %s, 'x', 'x', 'warn', true)",
            (found, suite),
        )
    publish.mark_audited(connection, found)
    connection.execute("update ops.publication set staged_at = now() where publication_id = %s", (found,))
    publish.switch(connection, found)
    publish.begin(connection)
    return found


def _broken(connection: psycopg.Connection[Any], subjects: tuple[Subject, ...]) -> set[str]:
    """The expectations that do not hold now, measured as the checkpoint measures them."""
    found = set()
    for subject in subjects:
        row = connection.execute(subject.query().encode()).fetchone()
        assert row is not None
        found |= {
            one.name for one, value in zip(subject.measures, row, strict=True) if not _holds(one, value)
        }
    return found


def _holds(measure: Measure, value: float) -> bool:
    too_low = measure.minimum is not None and value < measure.minimum
    return not too_low and (measure.maximum is None or value <= measure.maximum)


@pytest.mark.parametrize(("suite", "breaks"), [("raw", RAW_BREAKS), ("marts", MARTS_BREAKS)])
def test_each_expectation_has_a_row_that_breaks_it(connection, suite, breaks):
    """Good data breaks none; each broken row breaks its expectation; and no expectation is without such a row."""
    _published(connection)
    subjects = audit.subjects(connection, suite)
    declared = {measure.name for subject in subjects for measure in subject.measures}
    assert declared == set(breaks)
    assert _broken(connection, subjects) == set()
    unseen = []
    for name, statement in breaks.items():
        with connection.transaction(force_rollback=True):
            connection.execute(statement.encode())
            if name not in _broken(connection, subjects):
                unseen.append(name)
    assert unseen == []


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "breaks"), [("raw", RAW_BREAKS), ("marts", MARTS_BREAKS)])
def test_each_blocking_expectation_blocks_a_publication(connection, analytic_db, suite, breaks):
    """Great Expectations reports every one that is broken; the database refuses a publication for each of them alone,
    by its name, and readers keep the one before."""
    shown = _published(connection)
    subjects = audit.subjects(connection, suite)
    blocking = {one.name for subject in subjects for one in subject.measures if one.severity == "block"}
    begun = publish.begin(connection).publication_id
    # Changes first: they are about all rows, and would mend what an added row breaks.
    for name in sorted(blocking, key=lambda name: breaks[name].startswith("insert")):
        connection.execute(breaks[name].encode())
    with pytest.raises(audit.AuditError) as failed:
        audit.audit(connection, analytic_db.dsn("fuel_warehouse"), begun, suite)
    assert set(failed.value.failed) == blocking

    for name in blocking:
        alone = publish.begin(connection).publication_id
        connection.execute(
            "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded, detail)"
            " select %(alone)s, suite, expectation, table_name, severity, expectation <> %(name)s, detail"
            " from ops.audit_result where publication_id = %(begun)s and suite = %(suite)s"
            " union all select %(alone)s, other, 'x', 'x', 'block', true, null"
            " from unnest(array['raw', 'marts']) as other where other <> %(suite)s",
            {"alone": alone, "name": name, "begun": begun, "suite": suite},
        )
        with pytest.raises(publish.PublicationError, match=name) as refused:
            publish.mark_audited(connection, alone)
        assert refused.value.code == "audit_failed"
    assert publish.current(connection).publication_id == shown


def test_results_are_kept_with_their_trend(connection):
    """Each result stands beside what the same expectation saw before, and how often it failed lately."""
    for observed, succeeded in ((0, True), (3, False), (7, False)):
        begun = publish.begin(connection).publication_id
        connection.execute(
            "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded,"
            " observed) values (%s, 'marts', 'keys', 't', 'warn', %s, %s),"
            " (%s, 'marts', 'other', 't', 'warn', true, 1)",
            (begun, succeeded, observed, begun),
        )
    trend = connection.execute(
        "select observed, observed_before, succeeded_before, failures_in_last_hundred from ops.audit_trend"
        " where expectation = 'keys' order by publication_id"
    ).fetchall()
    assert trend == [(0, None, None, 0), (3, 0, True, 1), (7, 3, False, 2)]


def test_value_domains_depend_on_the_release(connection):
    """What a later release knows is no surprise there, what an earlier one knew neither; null is always allowed."""
    begun = publish.begin(connection)
    later = {**STRUCTURE, "fuel_release": {"release": "9.0"}}
    earlier = {**STRUCTURE, "fuel_release": {"release": "6.1", "build_id": "1"}}
    for structure, cluster in (
        (later, {"status": "partially_deployed", "mode": "ha_compact", "release": {"os": "Ubuntu"}}),
        (earlier, {"status": "operational", "mode": "multinode", "release": {"os": "CentOS"}}),
        (STRUCTURE, {"status": None, "mode": None, "release": {"os": None}}),
    ):
        connection.execute(_record("installation_structure", {**structure, "clusters": [cluster]}).encode())
    assert begun.state == "building"
    assert _broken(connection, raw.SUBJECTS) == set()


def test_names_are_unique_and_sentences_are_for_people():
    """The trend hangs on the names; the page shows the sentences."""
    measures = [one for subject in (*raw.SUBJECTS, *marts.SUBJECTS) for one in subject.measures]
    assert len({one.name for one in measures}) == len(measures)
    assert all(re.fullmatch(r"[a-z0-9_]+", one.name) and len(one.because) > 10 for one in measures)


@pytest.mark.slow
def test_a_checkpoint_blocks_warns_records_and_writes_its_pages(connection, analytic_db, tmp_path: Path):
    """Great Expectations itself: a good run passes, a broken one raises with names and examples, all of it is kept."""
    dsn = analytic_db.dsn("fuel_warehouse")
    begun = publish.begin(connection).publication_id
    assert all(one.succeeded for one in audit.audit(connection, dsn, begun, "raw", docs=tmp_path))
    assert all(one.succeeded for one in audit.audit(connection, dsn, begun, "marts", docs=tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert 'href="raw/index.html"' in page
    assert 'href="marts/index.html"' in page
    assert list((tmp_path / "raw" / "validations").rglob("*.html"))

    connection.execute(RAW_BREAKS["action_logs_tier_known"].encode())
    connection.execute(RAW_BREAKS["structures_release_known"].encode())
    with pytest.raises(audit.AuditError) as failed:
        audit.audit(connection, dsn, begun, "raw", docs=tmp_path)
    assert failed.value.failed == ("action_logs_tier_known",)
    kept = connection.execute(
        "select expectation, severity, unexpected, detail from ops.audit_result"
        " where publication_id = %s and suite = 'raw' and not succeeded order by 1",
        (begun,),
    ).fetchall()
    assert [row[:3] for row in kept] == [
        ("action_logs_tier_known", "block", 1),
        ("structures_release_known", "warn", 1),
    ]
    assert "position 0" in kept[0][3]
    with pytest.raises(publish.PublicationError, match="action_logs_tier_known"):
        publish.mark_audited(connection, begun)


@pytest.mark.slow
def test_a_measure_that_cannot_be_taken_blocks(connection, analytic_db):
    """A missing table is not a passed audit."""
    begun = publish.begin(connection).publication_id
    connection.execute("drop table build.fct_action")
    with pytest.raises(audit.AuditError) as failed:
        audit.audit(connection, analytic_db.dsn("fuel_warehouse"), begun, "marts")
    assert "actions_reconcile_with_raw" in failed.value.failed
