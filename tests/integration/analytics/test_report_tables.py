"""The analysts' reports over HTTP, on the sample."""

from __future__ import annotations

import csv
import io
from typing import Any

import psycopg
import pytest

from analytics_api.report_tables import TABLES
from tests.conftest import AnalyticDb
from tests.integration.analytics.server import Server


def rows(api: Server, name: str, **chosen: str) -> list[dict[str, Any]]:
    """The rows of a report."""
    answer = api.get(f"json/report/{name}", params=chosen)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def test_reports_are_listed_with_their_models(api: Server) -> None:
    """Each report says which dbt model defines it, and there is one for each published report but the front page's."""
    listed = {report["model"] for report in api.get("json/report").json()["reports"]}
    front_page = {"rpt_installation_distribution", "rpt_summary", "rpt_structure"}
    assert listed.isdisjoint(front_page)
    assert listed == {table.model for table in TABLES.values()}


def test_every_published_report_can_be_had(sample_db: AnalyticDb) -> None:
    """A report model that the API does not serve is noticed here; columns and key are those of the model."""
    with psycopg.connect(sample_db.dsn("fuel_analytics")) as connection:
        found = connection.execute(
            "select c.relname, array_agg(a.attname::text order by a.attnum) from pg_class as c"
            " inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relnamespace = 'marts'::regnamespace and c.relname like 'rpt_%' group by c.relname"
        ).fetchall()
    published = {name: tuple(columns) for name, columns in found}
    front_page = {"rpt_installation_distribution", "rpt_summary", "rpt_structure"}
    assert published.keys() - front_page == {table.model for table in TABLES.values()}
    for table in TABLES.values():
        assert published[table.model] == table.columns


def test_environments_are_counted_by_one_attribute_at_a_time(api: Server) -> None:
    """Filtered installations are left out; a release takes its part."""
    hypervisors = {
        (row["release"], row["item"]): row["environments"]
        for row in rows(api, "environments")
        if row["dimension"] == "hypervisor"
    }
    assert hypervisors[("9.0", "kvm")] == 1
    assert hypervisors[("10.0", "qemu")] == 1
    assert {row["release"] for row in rows(api, "environments", release="10.0")} == {"10.0"}
    assert rows(api, "environments", release="no such") == []


def test_deployments_tell_attempts_failures_and_durations(api: Server) -> None:
    """One success of five minutes at one installation, one failure at another."""
    found = {row["release"]: row for row in rows(api, "deployments")}
    assert (found["9.0"]["attempts"], found["9.0"]["failure_rate"]) == (1, 0.0)
    assert found["9.0"]["median_duration_seconds"] == 300.0
    assert (found["10.0"]["attempts"], found["10.0"]["failure_rate"]) == (1, 1.0)


def test_days_bound_what_is_counted_by_days(api: Server) -> None:
    """Both ends are included."""
    every = [row["day"] for row in rows(api, "growth")]
    assert every == sorted(every)
    assert len(every) > 2
    bounded = rows(api, "growth", from_date=every[1], to_date=every[1])
    assert [row["day"] for row in bounded] == [every[1]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("json/report/secrets", 404, "unknown_report_table"),
        ("json/report/growth?release=9.0", 400, "not_selectable"),
        ("json/report/deployments?from_date=2026-01-01", 400, "not_selectable"),
        ("json/report/growth?to_date=yesterday", 400, "bad_date"),
        ("csv/report/growth?release=9.0", 400, "not_selectable"),
    ],
)
def test_what_a_report_cannot_be_asked_is_refused(api: Server, path: str, status: int, code: str) -> None:
    """A filter that would silently do nothing is refused by a code, also where a file is asked for."""
    answer = api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_file_holds_the_same_rows(api: Server, name: str) -> None:
    """CSV and JSON are the same report, and the answer names its publication."""
    answer = api.get(f"json/report/{name}")
    assert answer.headers["fuel-stat-publication"] == "1"
    sent = answer.json()
    file = api.get(f"csv/report/{name}")
    assert file.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    reader = csv.DictReader(io.StringIO(file.text, newline=""))
    assert reader.fieldnames == sent["columns"]
    assert sent["rows"] or name == "upgrades"
    key = sent["columns"][: TABLES[name].keys]
    assert [[line[column] for column in key] for line in reader] == [
        [str(row[column]) for column in key] for row in sent["rows"]
    ]
