"""The verdict of /status from what the database says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from analytics_api.status_resource import status_of

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
NOTHING = {"publication_id": None, "published_at": None, "newest_received_at": None, "last_state": None}
PUBLISHED = {
    "publication_id": 7,
    "published_at": NOW - timedelta(minutes=5),
    "newest_received_at": NOW - timedelta(minutes=6),
    "last_state": "published",
}


def attempt(state: str, **more: Any) -> dict[str, Any]:
    """The last attempt that ended."""
    times = {"started_at": NOW, "ended_at": NOW, "run_id": "r", "error_code": None, "error": None}
    return {"publication_id": 8, "state": state, **times, **more}


def result(succeeded: bool, severity: str = "block") -> dict[str, Any]:
    """A row of the audit."""
    return {
        "suite": "marts",
        "expectation": "keys_are_unique",
        "table_name": "fct_action",
        "severity": severity,
        "succeeded": succeeded,
        "unexpected": 3,
        "detail": "3 keys twice",
        "checked_at": NOW,
    }


def test_nothing_published_is_empty() -> None:
    """Before the first publication the status is empty, not an error."""
    status = status_of(NOTHING, None, [], None, NOW)
    assert (status["status"], status["publication"]["id"]) == ("empty", None)
    assert status["audit"]["outcome"] == "none"


def test_freshness_is_the_age_of_the_newest_published_record() -> None:
    """Freshness counts from the newest record that is published, not from the publication."""
    status = status_of(PUBLISHED, attempt("published"), [result(True)], None, NOW)
    assert status["status"] == "ok"
    assert status["publication"]["freshness_seconds"] == 360.0
    assert status["publication"]["newest_received_at"] == "2026-05-01T11:54:00Z"


def test_failed_audit_is_told_with_its_reason_and_the_version_that_stays() -> None:
    """A refused publication is visible; the published one is still named."""
    found = status_of(PUBLISHED, attempt("failed"), [result(False), result(True)], None, NOW)
    assert found["status"] == "audit_failed"
    assert found["publication"]["id"] == 7
    assert found["audit"]["reason"] == "keys_are_unique on fct_action: 3 keys twice"
    assert found["audit"]["publication_id"] == 8


def test_warnings_do_not_make_a_status_bad() -> None:
    """Failed expectations that only warn are listed and leave the status ok."""
    status = status_of(PUBLISHED, attempt("published"), [result(False, "warn")], None, NOW)
    assert (status["status"], status["audit"]["outcome"]) == ("ok", "warned")
    assert [item["expectation"] for item in status["audit"]["failed"]] == ["keys_are_unique"]


def test_run_that_failed_before_its_audit_is_told() -> None:
    """A build that broke is no failed audit, but it is told as well."""
    status = status_of(PUBLISHED, attempt("failed", error="dbt ended"), [], None, NOW)
    assert (status["status"], status["audit"]["outcome"]) == ("run_failed", "none")


def test_failure_stays_visible_while_the_next_run_builds() -> None:
    """A running attempt does not hide that the one before it failed."""
    publication = {**PUBLISHED, "last_state": "building"}
    status = status_of(publication, attempt("failed"), [result(False)], None, NOW)
    assert (status["status"], status["pipeline"]["running"]) == ("audit_failed", True)
