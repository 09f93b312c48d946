"""What happens to every request: an id, a time, a line in the log, and headers that browsers should obey."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import falcon
import structlog

from analytics_api.session_resource import SignIn
from fuel_stat import log
from fuel_stat.metrics import Registry

_LOG = log.get("analytics_api")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = ("/healthz", "/readyz", "/metrics")


class RequestMiddleware:
    """Names, times, logs and counts requests. The log shows a route's template, never a uid or a query."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Before routing. API paths mean the same with and without a slash at the end."""
        given = request.get_header("X-Request-Id") or ""
        request.context.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.context.started = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=request.context.id)
        if request.path.startswith("/api/"):
            request.path = request.path.rstrip("/")

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: Any, req_succeeded: bool
    ) -> None:
        """After the resource, also when it raised."""
        seconds = time.perf_counter() - request.context.started
        route = request.uri_template or "(none)"
        status = str(response.status_code)
        labels = {"route": route, "method": request.method[:10], "status": status}
        self._registry["fuel_stat_analytics_request_seconds"].labels(**labels).observe(seconds)
        if request.path not in _QUIET:
            _LOG.info("request", **labels, milliseconds=round(seconds * 1000, 1))
        structlog.contextvars.unbind_contextvars("request_id")
        response.set_header("X-Request-Id", request.context.id)


class SecurityMiddleware:
    """Sign-in, where it is configured, and the headers that keep an answer what it is."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Refuse what is not signed in.

        Raises:
            UnauthorizedError: ``sign_in_required``.
        """
        response.set_header("X-Content-Type-Options", "nosniff")
        response.set_header("Referrer-Policy", "same-origin")
        response.set_header("X-Frame-Options", "DENY")
        response.set_header("Cross-Origin-Resource-Policy", "same-origin")
        response.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self._sign_in.check(request)
