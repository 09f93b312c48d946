"""A request id for every answer, a line of JSON for every request (never a payload), and its metrics."""

from __future__ import annotations

import os
import re
import sys
import time
from functools import lru_cache
from typing import Any

import falcon
import orjson

from fuel_stat.metrics import Registry

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


class AccessLog:
    """Falcon middleware. The id is the client's ``X-Request-Id`` when that is plain, else a new one."""

    def __init__(self, metrics: Registry, *, enabled: bool = True) -> None:
        self._metrics = metrics
        self._enabled = enabled

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin: note the time and the id."""
        req.context.started = time.perf_counter()
        given = req.get_header("X-Request-Id")
        request_id = given if given and _GIVEN_ID.match(given) else os.urandom(8).hex()
        req.context.request_id = request_id
        resp.set_header("X-Request-Id", request_id)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        """End: count and log."""
        seconds = time.perf_counter() - req.context.started
        status = resp.status_code
        name = type(resource).__name__ if resource is not None else "none"
        if resource is not None and hasattr(resource, "label"):
            name = resource.label
        self._metrics.labelled("ingest_requests_total", name, status).inc()
        self._metrics.labelled("ingest_request_seconds", name).observe(seconds)
        if not self._enabled:
            return
        line: dict[str, Any] = {
            "service": "ingest",
            "event": "request",
            "level": "info" if status < 500 else "warning",
            "timestamp": _second(int(time.time())),
            "request_id": req.context.request_id,
            "method": req.method,
            "path": req.path[:200],
            "status": status,
            "ms": round(seconds * 1000, 3),
            "pid": os.getpid(),
        }
        counts = getattr(req.context, "counts", None)
        if counts:
            line["records"] = dict(counts)
        code = getattr(req.context, "error_code", None)
        if code:
            line["code"] = code
        # One write a line: lines of several processes do not mix.
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
        sys.stdout.buffer.flush()
