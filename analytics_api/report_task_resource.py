"""``/api/v1/reports``: exports as tasks, for periods too long to wait for."""

from __future__ import annotations

import uuid
from typing import Any

import falcon

from analytics_api.database import Row
from analytics_api.errors import BadRequestError, ConflictError, GoneError, NotFoundError
from analytics_api.exports import catalogue
from analytics_api.parameters import Period
from analytics_api.report_tasks import ReportQueue
from analytics_api.status_resource import shown

PREFIX = "/api/v1/reports"


def shown_report(row: Row) -> dict[str, Any]:
    """A report task as JSON; ``file_url`` is there once it can be fetched."""
    keys = (
        "from_date",
        "to_date",
        "state",
        "attempts",
        "bytes",
        "sha256",
        "publication_id",
        "error_code",
        "error",
        "created_at",
        "started_at",
        "finished_at",
    )
    url = f"{PREFIX}/{row['report_id']}"
    return {
        "id": str(row["report_id"]),
        "report": row["name"],
        **{key: shown(row[key]) for key in keys},
        "status_url": url,
        "file_url": f"{url}/file" if row["state"] == "done" else None,
    }


def ordered(document: Any) -> tuple[str, Period]:
    """Name and period of an order ``{"report": …, "from_date": …, "to_date": …}``, the dates optional.

    Raises:
        BadRequestError: ``bad_order``, ``bad_date``, ``bad_period``, ``unknown_export``.
    """
    if not isinstance(document, dict) or not isinstance(document.get("report"), str):
        raise BadRequestError(
            "bad_order", 'The body is a JSON object like {"report": "vm", "from_date": "2026-01-01"}.'
        )
    name = document["report"]
    if name not in catalogue.NAMES:
        raise BadRequestError(
            "unknown_export", f"There is no such report; there are {', '.join(catalogue.NAMES)}."
        )
    dates = [document.get(key) for key in ("from_date", "to_date")]
    if not all(given is None or isinstance(given, str) for given in dates):
        raise BadRequestError("bad_date", "from_date and to_date are texts like 2026-01-31.")
    return name, Period.of(*dates)


class ReportsResource:
    """All report tasks: order one, list the latest."""

    def __init__(self, queue: ReportQueue) -> None:
        self._queue = queue

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """202 with the task and its address; 400 for a wrong order; 429 ``report_queue_full``; 503."""
        name, period = ordered(request.get_media(default_when_empty=None))
        response.media = shown_report(self._queue.order(name, period))
        response.status = falcon.HTTP_202
        response.location = response.media["status_url"]

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the latest hundred tasks; 503 ``reports_unavailable``."""
        response.media = {"reports": [shown_report(row) for row in self._queue.store.latest()]}
        response.cache_control = ["no-store"]


class ReportResource:
    """One report task."""

    def __init__(self, queue: ReportQueue) -> None:
        self._queue = queue

    def on_get(self, request: falcon.Request, response: falcon.Response, report_id: str) -> None:
        """200 with its state; 404 ``unknown_report``."""
        response.media = shown_report(self._require(report_id))
        response.cache_control = ["no-store"]

    def on_get_file(self, request: falcon.Request, response: falcon.Response, report_id: str) -> None:
        """200 with the file; 404 ``unknown_report``; 409 ``report_not_ready``; 410 ``report_expired``."""
        row = self._require(report_id)
        if row["state"] == "expired":
            raise GoneError("report_expired", "The file was deleted after its time: order the report again.")
        if row["state"] != "done":
            raise ConflictError("report_not_ready", f"The report is {row['state']}.")
        period = Period(row["from_date"], row["to_date"])
        try:
            file = self._queue.file(row).open("rb")
        except FileNotFoundError:
            raise GoneError(
                "report_expired", "The file is not there any more: order the report again."
            ) from None
        response.content_type = catalogue.content_type(row["name"])
        response.downloadable_as = catalogue.file_name(row["name"], period)
        response.set_stream(file, row["bytes"])

    def _require(self, report_id: str) -> Row:
        try:
            row = self._queue.store.get(uuid.UUID(report_id))
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError("unknown_report", "There is no report task of that id.")
        return row
