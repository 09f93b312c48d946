"""The exports over HTTP, on the sample."""

from __future__ import annotations

import csv
import io
import tarfile
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from fuel_stat.identity import installation_key
from tests.conftest import AnalyticDb
from tests.integration.analytics import sample
from tests.integration.analytics.server import Server, environment, fetch, running

PERIOD = {"from_date": "2026-03-01", "to_date": "2026-03-31"}


def table(text: str) -> list[dict[str, str]]:
    """A CSV's rows by column."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_clusters_say_the_last_result_of_network_verification(api: Server, pepper: bytes) -> None:
    """Each cluster is a line; the last finished verification within the dates is its last column."""
    answer = api.get("csv/clusters", params=PERIOD)
    assert answer.headers["content-disposition"] == 'attachment; filename="clusters.csv"'
    assert verifications(answer.text, pepper) == [("1", "ready"), ("2", "")]
    before = api.get("csv/clusters", params={"from_date": "2026-03-01", "to_date": "2026-03-03"})
    assert verifications(before.text, pepper) == [("1", "error"), ("2", "")]


def verifications(text: str, pepper: bytes) -> list[tuple[str, str]]:
    """Clusters of the sample's first installation and the last result of their network verification."""
    key = str(installation_key(pepper, sample.UID))
    rows = [row for row in table(text) if row["master_node_uid"] == key]
    return [(row["id"], row["verify_networks_status"]) for row in rows]


def test_deformed_clusters_leave_their_neighbours_alone(api: Server) -> None:
    """A cluster that is no object is left out, its sibling is there."""
    rows = table(api.get("csv/clusters", params=PERIOD).text)
    assert [row["id"] for row in rows].count("3") == 1
    assert len(rows) == 5


def test_formulas_in_reports_are_disarmed(api: Server) -> None:
    """What a node sent cannot run in an analyst's spreadsheet."""
    rows = table(api.get("csv/clusters", params=PERIOD).text)
    assert "'=cmd|' /C calc'!A0" in {row["attributes.kernel_params"] for row in rows}


def test_structures_are_chosen_by_the_period(api: Server) -> None:
    """What was neither made nor changed within the period is left out."""
    assert table(api.get("csv/nodes", params={"from_date": "2026-04-01", "to_date": "2026-04-30"}).text) == []
    assert len(table(api.get("csv/nodes", params=PERIOD).text)) == 5


def test_workloads_are_repeated_until_the_next_record_and_the_last_contact(
    api: Server, pepper: bytes
) -> None:
    """A day without a record repeats the last one with empty changes; a removed resource appears once."""
    rows = table(api.get("csv/vm", params=PERIOD).text)
    shown = [
        (row["stats_on_date"][-2:], row["vm.id"], row["vm.is_added"], row["vm.is_removed"]) for row in rows
    ]
    assert shown == [
        ("02", "a", "True", "False"),
        ("02", "b", "False", "False"),
        ("03", "a", "False", "False"),
        ("03", "b", "False", "False"),
        ("04", "a", "False", "False"),
        ("04", "b", "False", "False"),
        ("05", "a", "False", "False"),
        ("05", "b", "False", "True"),
        ("06", "a", "False", "False"),
    ]
    assert {row["master_node_uid"] for row in rows} == {str(installation_key(pepper, sample.UID))}
    assert {row["version_info.release_name"] for row in rows} == {"Mitaka on Ubuntu 14.04"}


def test_days_are_not_filled_from_records_before_the_period(api: Server) -> None:
    """Records are chosen by their own day: the first days of a period may be empty."""
    rows = table(api.get("csv/vm", params={"from_date": "2026-03-03", "to_date": "2026-03-31"}).text)
    assert {row["stats_on_date"] for row in rows} == {"2026-03-05", "2026-03-06"}


def test_archive_holds_all_exports_but_nodes(api: Server) -> None:
    """The tar's members are the single exports, byte by byte."""
    answer = api.get("csv/all", params=PERIOD)
    assert 'filename="reports_from2026-03-01_to2026-03-31.tar"' in answer.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        names = archive.getnames()
        vm = archive.extractfile("vm.csv")
        assert vm is not None
        assert vm.read() == api.get("csv/vm", params=PERIOD).content
    assert len(names) == 8
    assert "nodes.csv" not in names


@pytest.fixture
def large_api(own_sample_db: AnalyticDb, pepper: bytes, folder: Path, reports_dsn: str) -> AnalyticDb:
    """A database whose vm export has 60,000 lines (about 10 MB)."""
    with psycopg.connect(own_sample_db.dsn("fuel_warehouse")) as connection:
        connection.execute(
            """
            insert into pub.fct_workload_resource
            select (jsonb_populate_record(r, jsonb_build_object('resource_number', n))).*
            from pub.fct_workload_resource as r, generate_series(100, 60099) as n
            where r.ctid = (select ctid from pub.fct_workload_resource where stats_on_date = '2026-03-02' limit 1)
            """
        )
    return own_sample_db


@pytest.mark.slow
def test_large_exports_take_bounded_memory_and_slots(
    large_api: AnalyticDb, pepper: bytes, folder: Path, reports_dsn: str
) -> None:
    """A worker's memory does not grow with the export; when all slots are taken the answer says what to do."""
    environ = environment(
        large_api.dsn("fuel_analytics"), reports_dsn, pepper, folder, FUEL_STAT_ANALYTICS_EXPORT_SLOTS="1"
    )
    with running(environ, folder) as server:
        url = f"{server.url}/api/v1/csv/vm?from_date=2026-03-01&to_date=2026-03-31"
        assert fetch(f"{url}&warm=1".replace("2026-03-31", "2026-03-01")).status_code == 200
        [worker] = server.worker_pids()
        before = resident(worker)
        size, peak = 0, 0
        with httpx.stream("GET", url, timeout=120) as answer:
            for chunk in answer.iter_bytes(1 << 20):
                size += len(chunk)
                if size < 2 << 20:
                    busy = fetch(url)
                    assert (busy.status_code, busy.json()["code"]) == (503, "exports_busy")
                    assert "retry-after" in busy.headers
                peak = max(peak, resident(worker))
        assert size > 8 << 20
        assert peak - before < 24 << 20
        assert fetch(f"{url}&again=1").status_code == 200


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
def test_reader_that_leaves_frees_its_slot(
    large_api: AnalyticDb, pepper: bytes, folder: Path, reports_dsn: str
) -> None:
    """A client that hangs up in the middle of an export gives back slot, cursor and snapshot."""
    environ = environment(
        large_api.dsn("fuel_analytics"), reports_dsn, pepper, folder, FUEL_STAT_ANALYTICS_EXPORT_SLOTS="1"
    )
    with running(environ, folder) as server:
        url = f"{server.url}/api/v1/csv/vm?from_date=2026-03-01&to_date=2026-03-31"
        with httpx.stream("GET", url, timeout=120) as answer:
            next(answer.iter_bytes(1 << 16))
        for _ in range(100):
            if fetch(f"{server.url}/api/v1/csv/tenant").status_code == 200:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the slot of a reader that left was never free again")
        with psycopg.connect(large_api.dsn(), autocommit=True) as connection:
            idle = connection.execute(
                "select count(*) from pg_stat_activity where usename = 'fuel_analytics'"
                " and datname = current_database() and state <> 'idle'"
            ).fetchone()
        assert idle == (0,)
