"""What watches the service: is it alive, can it answer, which version is it, what does it measure."""

from __future__ import annotations

import os

import falcon
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from analytics_api.database import Marts
from fuel_stat import __version__
from fuel_stat.metrics import Metric, Registry

METRICS = (
    Metric(
        "fuel_stat_analytics_request_seconds",
        "histogram",
        "Time from a request to the start of its answer, in seconds.",
        labels=("route", "method", "status"),
    ),
    Metric(
        "fuel_stat_analytics_errors",
        "counter",
        "Requests that were refused or failed, by error code.",
        labels=("code",),
    ),
)


class LivenessResource:
    """``/healthz``: 200 while the process serves requests. Touches nothing else."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 ``{"status": "ok"}``."""
        response.media = {"status": "ok"}


class ReadinessResource:
    """``/readyz``: 200 when the analytic database answers, 503 when it does not."""

    def __init__(self, marts: Marts) -> None:
        self._marts = marts

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 ``{"status": "ok"}``; 503 ``database_unavailable``."""
        self._marts.ping()
        response.media = {"status": "ok"}


class VersionResource:
    """``/version``."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the service's name and version."""
        response.media = {"service": "analytics_api", "version": __version__}


class MetricsResource:
    """``/metrics`` in Prometheus' text format, over all worker processes where they share a folder."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the metrics."""
        registry = self._registry.prometheus
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        response.content_type = CONTENT_TYPE_LATEST
        response.data = generate_latest(registry)
