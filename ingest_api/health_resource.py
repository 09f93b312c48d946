"""What operators and load balancers ask."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time

import falcon
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

from fuel_stat.metrics import Registry
from ingest_api import answers
from ingest_api.errors import StoreUnavailableError
from ingest_api.settings import Settings
from ingest_api.store import Store


class HealthResource:
    """``GET /healthz``: 200 as long as the process answers at all; nothing else is looked at."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer ok."""
        resp.content_type = answers.JSON
        resp.data = answers.dumps({"status": "ok"})


class ReadyResource:
    """``GET /readyz``: 200 when a commit succeeds, partitions reach far enough and the disk has room, else 503.

    The body names each check: ``{"status", "checks": {"database", "partitions", "disk"}}``.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Commit something small, and look around."""
        checks: dict[str, dict[str, object]] = {}
        try:
            runway = self._store.can_commit()
        except StoreUnavailableError as error:
            checks["database"] = {"ok": False, "code": error.code}
        else:
            checks["database"] = {"ok": True}
            wanted = self._settings.min_runway_days
            checks["partitions"] = {"ok": runway >= wanted, "runway_days": runway, "wanted_days": wanted}
        free = shutil.disk_usage(self._settings.disk_path).free
        checks["disk"] = {
            "ok": free >= self._settings.min_free_bytes,
            "free_bytes": free,
            "wanted_bytes": self._settings.min_free_bytes,
        }
        ready = all(check["ok"] for check in checks.values())
        if not ready:
            resp.status = falcon.HTTP_503
            resp.set_header("Retry-After", "5")
        failed = [name for name, check in checks.items() if not check["ok"]]
        shown: dict[str, object] = {"status": "ok" if ready else "error", "checks": checks}
        if failed:
            shown["message"] = f"Not ready: {', '.join(failed)}."
        resp.content_type = answers.JSON
        resp.data = answers.dumps(shown)


class VersionResource:
    """``GET /version``: what runs."""

    def __init__(self) -> None:
        self._started = time.time()
        try:
            self._version = importlib.metadata.version("fuel-stat")
        except importlib.metadata.PackageNotFoundError:
            self._version = "0"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Name, version, Python, process and its age in seconds, and where it listens."""
        resp.content_type = answers.JSON
        resp.data = answers.dumps(
            {
                "status": "ok",
                "service": "ingest",
                "version": self._version,
                "python": platform.python_version(),
                "pid": os.getpid(),
                "uptime_seconds": round(time.time() - self._started, 1),
                "listeners": [
                    {"address": one.address, "tls": one.tls, "exposed": one.exposed}
                    for one in req.env.get("fuel_stat.listeners", ())
                ],
            }
        )


class MetricsResource:
    """``GET /metrics``: Prometheus text, summed over the worker processes."""

    def __init__(self, metrics: Registry) -> None:
        self._metrics = metrics

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """All declared metrics."""
        registry = self._metrics.prometheus
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(registry)
