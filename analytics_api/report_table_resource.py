"""``/api/v1/json/report``, ``/json/report/{name}`` and ``/csv/report/{name}``: the analysts' reports as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import falcon

from analytics_api import report_tables
from analytics_api.database import Marts, Snapshot
from analytics_api.exports.table import csv_lines
from analytics_api.parameters import day_of
from analytics_api.report_resource import name_publication
from analytics_api.report_tables import ReportTable, Selection
from analytics_api.streams import streamed


def selection_of(request: falcon.Request) -> Selection:
    """``release``, ``from_date`` and ``to_date`` of a request, all optional.

    Raises:
        BadRequestError: ``bad_date``.
    """
    return Selection(
        request.get_param("release", default=""),
        day_of("from_date", request.get_param("from_date")),
        day_of("to_date", request.get_param("to_date")),
    )


class ReportTablesResource:
    """Which reports there are."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 ``{"reports": [{"name", "summary", "model", "columns", "by_release", "day"}…]}``."""
        response.media = {"reports": [described(table) for table in report_tables.TABLES.values()]}


def described(table: ReportTable) -> dict[str, Any]:
    """What a report is; ``model`` names the page of the dbt documentation that defines its columns."""
    return {
        "name": table.name,
        "summary": table.summary,
        "model": table.model,
        "columns": list(table.columns),
        "by_release": table.has_release,
        "day": table.day,
    }


class ReportTableResource:
    """One report, as JSON."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """200 with the report and its rows; 400 ``bad_date``, ``not_selectable``; 404 ``unknown_report_table``."""
        table = report_tables.require(name)
        selection = selection_of(request)
        with self._marts.snapshot() as snapshot:
            name_publication(response, snapshot)
            rows = [
                {key: report_tables.plain(value) for key, value in row.items()}
                for row in table.rows(snapshot, selection)
            ]
        response.media = described(table) | {"rows": rows}


class ReportFileResource:
    """One report, as a CSV file."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """200 with the file as an attachment; refusals as for JSON; 503 ``exports_busy``."""
        table = report_tables.require(name)
        selection = selection_of(request)
        response.content_type = "text/csv; charset=utf-8"
        response.downloadable_as = f"{table.name}.csv"

        def lines(snapshot: Snapshot) -> Iterator[bytes]:
            rows = table.rows(snapshot, selection)
            return csv_lines(table.columns, ([report_tables.cell(v) for v in row.values()] for row in rows))

        response.stream = streamed(self._marts.export(), lines)
