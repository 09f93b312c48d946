"""Is anybody there?"""

from __future__ import annotations

import time

import falcon

from ingest_api import answers


class PingResource:
    """``GET|HEAD /api/v1/ping/``: 200, nothing is looked at."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer ok."""
        started = time.perf_counter()
        resp.content_type = answers.JSON
        resp.data = answers.dumps({"status": "ok", "exec_time": round(time.perf_counter() - started, 6)})

    on_head = on_get
