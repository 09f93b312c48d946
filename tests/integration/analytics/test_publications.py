"""What readers see while publications come, fail and go."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from tests.conftest import AnalyticDb
from tests.integration.analytics import publishing
from tests.integration.analytics.server import Server, environment, in_process, running


def test_status_names_the_published_version_and_its_audit(api: Server) -> None:
    """Version, freshness, audit outcome and last run are there."""
    status = api.get("status").json()
    assert status["status"] == "ok"
    assert status["publication"]["id"] == 1
    assert status["publication"]["newest_received_at"] == "2026-03-06T09:30:00Z"
    assert status["publication"]["freshness_seconds"] > 0
    assert (status["audit"]["outcome"], status["audit"]["expectations"]) == ("passed", 2)
    assert status["pipeline"] == {"running": False, "last_run": status["pipeline"]["last_run"]}
    assert status["pipeline"]["last_run"]["state"] == "published"


def test_failed_audit_keeps_the_numbers_and_is_told(
    own_sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """A refused publication changes no answer; /status says why, also while the next run builds."""
    with in_process(environment(own_sample_db.dsn("fuel_analytics"), "", pepper, folder)) as server:
        before = server.get("json/report/installations").json()
        dsn = own_sample_db.dsn("fuel_warehouse")
        refused = publishing.refuse_build(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            publishing.publish.begin(connection)
        status = server.get("status").json()
        assert (status["status"], status["pipeline"]["running"]) == ("audit_failed", True)
        assert status["publication"]["id"] == 1
        assert (status["audit"]["outcome"], status["audit"]["publication_id"]) == ("failed", refused)
        assert status["audit"]["reason"] == "keys_are_unique on fct_action: 3 keys twice"
        assert server.get("json/report/installations").json() == before


def test_before_the_first_publication_the_api_says_so(
    analytic_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """Status is empty, the numbers are 503 with a code, nothing is an internal error."""
    with in_process(environment(analytic_db.dsn("fuel_analytics"), "", pepper, folder)) as server:
        assert server.get("status").json()["status"] == "empty"
        for path in ("json/summary", "json/report/installations", "csv/vm", "csv/all", "json/action_logs/x"):
            answer = server.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "nothing_published"), path
        assert server.get("integrity").json()["agrees"] is True


@pytest.mark.slow
def test_answers_never_mix_two_publications(own_sample_db: AnalyticDb, pepper: bytes, folder: Path) -> None:
    """While publications alternate, totals and lists of one answer always belong together."""
    dsn = own_sample_db.dsn("fuel_warehouse")
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from build.rpt_structure where is_filtered")
        connection.execute("update build.rpt_installation_distribution set amount = amount * 2")
    publishing.publish_build(dsn, None)
    stop = threading.Event()

    def alternate() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            turn = 0
            while not stop.is_set():
                publishing.publish.rollback(connection, 1 if turn % 2 == 0 else 2)
                turn += 1

    environ = environment(own_sample_db.dsn("fuel_analytics"), "", pepper, folder)
    with running(environ, folder) as server:
        switcher = threading.Thread(target=alternate)
        switcher.start()
        try:
            seen = set()
            for _ in range(40):
                page = server.get("json/installation_infos/filtered").json()
                assert page["paging_params"]["total"] == len(page["objs"])
                answer = server.get("json/report/installations")
                count = answer.json()["installations"]["count"]
                assert answer.headers["fuel-stat-publication"] == {3: "1", 6: "2"}[count]
                seen.add(count)
        finally:
            stop.set()
            switcher.join()
    assert seen == {3, 6}


def test_integrity_shows_the_checks_of_a_period(
    own_sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """Counts and hashes by stage; one day that disagrees makes the verdict false wherever it lies."""
    with psycopg.connect(own_sample_db.dsn("fuel_warehouse")) as connection:
        for day, agrees in (("2026-03-05", True), ("2020-01-01", False)):
            connection.execute(
                "insert into ops.integrity (kind, received_day, tier, raw_count, raw_hash, agrees, disagreement)"
                " values ('action_logs', %s, 0, 3, 123456789012345678901, %s, %s)",
                (day, agrees, None if agrees else "raw has one record less"),
            )
    with in_process(environment(own_sample_db.dsn("fuel_analytics"), "", pepper, folder)) as server:
        found = server.get("integrity", params={"from_date": "2026-03-01", "to_date": "2026-03-31"}).json()
        assert (found["agrees"], found["checked"], found["disagreeing"]) == (False, 2, 1)
        [day] = found["days"]
        assert day["stages"]["raw"] == {"records": 3, "hash": "123456789012345678901"}
        assert day["stages"]["published"] == {"records": None, "hash": None}


def test_role_of_the_api_reads_what_is_published_and_nothing_else(sample_db: AnalyticDb) -> None:
    """The database refuses raw, build and the store, and every write."""
    with psycopg.connect(sample_db.dsn("fuel_analytics"), autocommit=True) as connection:
        connection.execute("select count(*) from marts.fct_action")
        for statement in (
            "select * from raw.action_logs",
            "select * from build.fct_action",
            "select * from pub.fct_action",
            "delete from marts.fct_action",
            "update ops.published set publication_id = 1",
            "insert into ops.load default values",
            "create table marts.mine (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[call-overload]


def test_database_that_is_away_is_503_and_comes_back(
    own_sample_db: AnalyticDb, pepper: bytes, folder: Path
) -> None:
    """Sessions that were ended are replaced; a database that does not answer is told without its text."""
    dsn = own_sample_db.dsn("fuel_analytics")
    bad = dsn.replace(own_sample_db.database, "nowhere")
    with in_process(environment(bad, "", pepper, folder)) as server:
        answer = server.client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "nowhere" not in answer.text
        assert server.client.get("/healthz").status_code == 200
    with in_process(environment(dsn, "", pepper, folder)) as server:
        assert server.get("json/summary").status_code == 200
        publishing.disconnect(own_sample_db.dsn(), own_sample_db.database)
        assert server.get("json/summary").status_code == 200
