"""``/api/v1/csv/{name}``: the exports, streamed."""

from __future__ import annotations

import falcon

from analytics_api.database import Marts
from analytics_api.exports import catalogue
from analytics_api.parameters import period_of
from analytics_api.streams import streamed


class ExportResource:
    """One export over a period of UTC days."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """200 with the file as an attachment.

        400 ``bad_date`` or ``bad_period``; 404 ``unknown_export``; 503 ``exports_busy`` when too many are being
        streamed: the same export can be had as a report task.
        """
        catalogue.require(name)
        period = period_of(request)
        response.content_type = catalogue.content_type(name)
        response.downloadable_as = catalogue.file_name(name, period)
        response.stream = streamed(
            self._marts.export(), lambda snapshot: catalogue.chunks(name, snapshot, period)
        )
