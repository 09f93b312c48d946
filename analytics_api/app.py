"""The application: resources, their addresses, and how errors are answered."""

from __future__ import annotations

import re
from typing import Any

import falcon

from analytics_api import installation_resource as installations
from analytics_api import static_resource as static
from analytics_api.database import Marts
from analytics_api.errors import AnalyticsError
from analytics_api.export_resource import ExportResource
from analytics_api.health_resource import (
    METRICS,
    LivenessResource,
    MetricsResource,
    ReadinessResource,
    VersionResource,
)
from analytics_api.integrity_resource import IntegrityResource
from analytics_api.middleware import RequestMiddleware, SecurityMiddleware
from analytics_api.openapi import OpenApiResource
from analytics_api.report_resource import InstallationReportResource, ReleasesResource, SummaryResource
from analytics_api.report_table_resource import (
    ReportFileResource,
    ReportTableResource,
    ReportTablesResource,
)
from analytics_api.report_task_resource import ReportResource, ReportsResource
from analytics_api.report_tasks import ReportQueue
from analytics_api.session_resource import SessionResource, SignIn
from analytics_api.settings import Settings
from analytics_api.static_resource import StaticResource
from analytics_api.status_resource import StatusResource
from fuel_stat import log
from fuel_stat.metrics import Registry

BASE = "/api/v1"
_LOG = log.get("analytics_api")


def create_app(settings: Settings) -> falcon.App[Any, Any]:
    """The WSGI application. Opens no connection yet: safe before a fork."""
    marts = Marts(settings)
    sign_in = SignIn(settings)
    registry = Registry(METRICS)
    app: falcon.App[Any, Any] = falcon.App()
    app.add_middleware(RequestMiddleware(registry))
    app.add_middleware(SecurityMiddleware(sign_in))
    app.req_options.strip_url_path_trailing_slash = False
    app.resp_options.secure_cookies_by_default = False
    _add_errors(app, registry)
    _add_reports(app, marts, settings)
    _add_health(app, marts, registry, sign_in)
    _add_pages(app, settings)
    return app


def _add_reports(app: falcon.App[Any, Any], marts: Marts, settings: Settings) -> None:
    pepper = settings.pepper
    app.add_route(f"{BASE}/json/report/installations", InstallationReportResource(marts))
    app.add_route(f"{BASE}/json/report/releases", ReleasesResource(marts))
    app.add_route(f"{BASE}/json/report", ReportTablesResource())
    app.add_route(f"{BASE}/json/report/{{name}}", ReportTableResource(marts))
    app.add_route(f"{BASE}/csv/report/{{name}}", ReportFileResource(marts))
    app.add_route(f"{BASE}/json/summary", SummaryResource(marts))
    app.add_route(f"{BASE}/json/installation_info/{{uid}}", installations.InstallationResource(marts, pepper))
    app.add_route(
        f"{BASE}/json/installation_infos/filtered", installations.filtered_installations(marts, pepper)
    )
    workloads = installations.workload_records(marts, pepper)
    app.add_route(f"{BASE}/json/oswls/{{uid}}", workloads)
    app.add_route(f"{BASE}/json/oswls/{{uid}}/{{resource_type}}", workloads)
    app.add_route(f"{BASE}/json/action_logs/{{uid}}", installations.action_logs(marts, pepper))
    app.add_route(f"{BASE}/csv/{{name}}", ExportResource(marts))
    queue = ReportQueue(settings)
    report = ReportResource(queue)
    app.add_route(f"{BASE}/reports", ReportsResource(queue))
    app.add_route(f"{BASE}/reports/{{report_id}}", report)
    app.add_route(f"{BASE}/reports/{{report_id}}/file", report, suffix="file")


def _add_health(app: falcon.App[Any, Any], marts: Marts, registry: Registry, sign_in: SignIn) -> None:
    app.add_route(f"{BASE}/status", StatusResource(marts))
    app.add_route(f"{BASE}/integrity", IntegrityResource(marts))
    app.add_route(f"{BASE}/session", SessionResource(sign_in))
    app.add_route(f"{BASE}/openapi.json", OpenApiResource())
    app.add_route("/healthz", LivenessResource())
    app.add_route("/readyz", ReadinessResource(marts))
    app.add_route("/version", VersionResource())
    app.add_route("/metrics", MetricsResource(registry))


def _add_pages(app: falcon.App[Any, Any], settings: Settings) -> None:
    page = StaticResource(settings.page, static.PAGE_POLICY, static.PAGE_MISSING)
    app.add_sink(_served_by(page), "/")
    for prefix, folder, missing in (
        ("/data-docs", "data_docs", static.DATA_DOCS_MISSING),
        ("/dbt-docs", "dbt_docs", static.DBT_DOCS_MISSING),
    ):
        docs = StaticResource(settings.home / folder, static.DOCUMENTATION_POLICY, missing)
        app.add_sink(_served_by(docs), re.compile(rf"{prefix}/(?P<path>.*)\Z"))
        app.add_sink(_redirect(f"{prefix}/"), re.compile(rf"{prefix}\Z"))


def _served_by(resource: StaticResource) -> Any:
    def serve(request: falcon.Request, response: falcon.Response, path: str | None = None) -> None:
        if request.path.startswith("/api/") or request.path == "/api":
            raise falcon.HTTPRouteNotFound()
        if request.method not in ("GET", "HEAD"):
            raise falcon.HTTPMethodNotAllowed(["GET", "HEAD"])
        resource.on_get(request, response, request.path.lstrip("/") if path is None else path)

    return serve


def _redirect(target: str) -> Any:
    def redirect(request: falcon.Request, response: falcon.Response) -> None:
        raise falcon.HTTPMovedPermanently(target)

    return redirect


def _add_errors(app: falcon.App[Any, Any], registry: Registry) -> None:
    """Every error is ``{"status": "error", "code", "message"}``; what we did not expect is logged, not shown."""
    errors = registry["fuel_stat_analytics_errors"]

    def answer(response: falcon.Response, status: int, code: str, message: str) -> None:
        errors.labels(code=code).inc()
        response.status = status
        response.stream = None
        response.data = None
        response.content_type = falcon.MEDIA_JSON
        response.media = {"status": "error", "code": code, "message": message}

    def refused(
        request: falcon.Request, response: falcon.Response, error: AnalyticsError, params: dict[str, Any]
    ) -> None:
        answer(response, error.status, error.code, error.sentence)
        response.set_headers(error.headers)

    def http_error(
        request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]
    ) -> None:
        title = error.title or falcon.http_status_to_code(error.status)
        code = re.sub(r"[^a-z]+", "_", re.sub(r"^\d+ ", "", str(title)).lower()).strip("_")
        answer(response, error.status_code, code, error.description or f"{title}.")
        if error.headers:
            response.set_headers(error.headers)

    def unexpected(
        request: falcon.Request, response: falcon.Response, error: Exception, params: dict[str, Any]
    ) -> None:
        _LOG.error("unexpected_error", exc_info=error, route=request.uri_template)
        answer(
            response, 500, "internal_error", "Something went wrong; the log has it under this request's id."
        )

    app.add_error_handler(Exception, unexpected)
    app.add_error_handler(falcon.HTTPError, http_error)
    app.add_error_handler(AnalyticsError, refused)
