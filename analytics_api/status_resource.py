"""``/api/v1/status``: how fresh the published numbers are, and how the last attempt to renew them went."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import falcon

from analytics_api.database import Marts, Row
from fuel_stat import __version__

_PUBLICATION = (
    "select publication_id, published_at, newest_received_at, last_state from ops.publication_status"
)
# The last attempt that has ended: while the next one builds, a failure before it stays visible.
_ATTEMPT = """
    select p.publication_id, p.state, p.run_id, p.started_at, p.ended_at, p.error_code, p.error
    from ops.publication as p
    where p.state not in ('building', 'audited')
    order by p.publication_id desc
    limit 1
"""
_AUDIT = """
    select r.suite, r.expectation, r.table_name, r.severity, r.succeeded, r.unexpected, r.detail, r.checked_at
    from ops.audit_result as r
    where r.publication_id = :publication_id
    order by r.severity, r.suite, r.expectation
"""
_EXTRACTION = """
    select load_id, state, records, lag_seconds, started_at, finished_at
    from ops.load order by load_id desc limit 1
"""


def shown(value: Any) -> Any:
    """A database value as JSON: times in ISO 8601, UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value


def shown_row(row: Row | None) -> dict[str, Any] | None:
    """A row as a JSON object."""
    return None if row is None else {key: shown(value) for key, value in row.items()}


def audit_of(attempt: Row | None, results: list[Row]) -> dict[str, Any]:
    """Outcome (none, passed, warned, failed) and reason of the last attempt's audit."""
    failed = [row for row in results if not row["succeeded"]]
    blocked = [row for row in failed if row["severity"] == "block"]
    outcome = "none" if not results else "failed" if blocked else "warned" if failed else "passed"
    return {
        "outcome": outcome,
        "publication_id": attempt["publication_id"] if attempt and results else None,
        "audited_at": shown(max((row["checked_at"] for row in results), default=None)),
        "reason": "; ".join(_sentence(row) for row in blocked) or None,
        "expectations": len(results),
        "failed": [
            {key: shown(row[key]) for key in ("suite", "expectation", "severity", "unexpected", "detail")}
            | {"table": row["table_name"]}
            for row in failed
        ],
    }


def _sentence(row: Row) -> str:
    detail = f": {row['detail']}" if row["detail"] else ""
    return f"{row['expectation']} on {row['table_name']}{detail}"


def status_of(
    publication: Row, attempt: Row | None, results: list[Row], extraction: Row | None, now: datetime
) -> dict[str, Any]:
    """The answer of ``/status``.

    ``status`` is ``audit_failed`` while the last attempt was refused by its audit (the numbers published before
    stay up), ``run_failed`` when it ended otherwise without a publication, ``empty`` before the first, else ``ok``.
    """
    newest = publication["newest_received_at"]
    audit = audit_of(attempt, results)
    verdict = "ok" if publication["publication_id"] is not None else "empty"
    if attempt is not None and attempt["state"] == "failed":
        verdict = "audit_failed" if audit["outcome"] == "failed" else "run_failed"
    return {
        "status": verdict,
        "version": __version__,
        "publication": {
            "id": publication["publication_id"],
            "published_at": shown(publication["published_at"]),
            "newest_received_at": shown(newest),
            "freshness_seconds": round((now - newest).total_seconds(), 1) if newest else None,
        },
        "audit": audit,
        "pipeline": {
            "running": publication["last_state"] in ("building", "audited"),
            "last_run": shown_row(attempt),
        },
        "extraction": shown_row(extraction),
    }


class StatusResource:
    """The published version, its freshness, the last audit with its reason, the last runs."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 always when the database answers, a failed audit included: the published numbers stay valid."""
        with self._marts.snapshot() as snapshot:
            publication = snapshot.rows(_PUBLICATION)[0]
            attempt = snapshot.first(_ATTEMPT)
            results = snapshot.rows(_AUDIT, publication_id=attempt["publication_id"]) if attempt else []
            extraction = snapshot.first(_EXTRACTION)
        response.media = status_of(publication, attempt, results, extraction, datetime.now(UTC))
        response.cache_control = ["no-store"]
