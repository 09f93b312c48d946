"""The Falcon application: routes, error handlers, and the parts put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import falcon

from fuel_stat.log import get
from fuel_stat.metrics import Registry
from ingest_api import answers
from ingest_api.access_log import AccessLog
from ingest_api.authentication import Authentication
from ingest_api.document import Reader
from ingest_api.errors import IngestError, QuotaExceededError, StoreUnavailableError
from ingest_api.health_resource import HealthResource, MetricsResource, ReadyResource, VersionResource
from ingest_api.identity.authenticator import SignedAuthentication
from ingest_api.identity.directory import Directory
from ingest_api.identity.resource import EnrolResource
from ingest_api.intake import Intake
from ingest_api.kind_resource import KindResource
from ingest_api.kinds import SHIPPED, Kind, load_kinds
from ingest_api.limits import Limits, Quota, Quotas, shared_out
from ingest_api.metrics import DECLARATIONS
from ingest_api.openapi_resource import OpenApiResource
from ingest_api.ping_resource import PingResource
from ingest_api.redaction import Redactor
from ingest_api.schema_resource import SchemaIndexResource, SchemaResource
from ingest_api.screen import make_scanner
from ingest_api.settings import Settings
from ingest_api.store import Store

log = get(__name__)
BASE = "/api/v1"


@dataclass(frozen=True)
class Parts:
    """What an application is made of."""

    settings: Settings
    kinds: dict[str, Kind]
    store: Store
    intake: Intake
    metrics: Registry
    authentication: Authentication
    signed: SignedAuthentication
    limits: Limits


def make_parts(settings: Settings, authentication: Authentication | None = None) -> Parts:
    """Put the collector together. Nothing is connected yet.

    Raises:
        KindError: a kind's folder cannot be used.
    """
    folders = [SHIPPED] + ([settings.kinds_folder] if settings.kinds_folder else [])
    kinds = load_kinds(folders)
    scanner = make_scanner()
    store = Store(settings.dsn, settings.statement_seconds)
    redactor = Redactor(scanner, keep_contact=settings.keep_contact)
    intake = Intake(kinds, Reader(scanner, settings.max_records), redactor, store)
    signed = SignedAuthentication(store, Directory(settings.key_cache_seconds))
    limits = Limits(_quotas(settings), store.is_known)
    metrics = Registry(DECLARATIONS)
    return Parts(settings, kinds, store, intake, metrics, authentication or signed, signed, limits)


def _quotas(settings: Settings) -> Quotas:
    def share(name: str, an_hour: int) -> Quota:
        return shared_out(name, an_hour, settings.processes)

    return Quotas(
        share("node_quota", settings.node_per_hour),
        share("prefix_quota", settings.prefix_per_hour),
        share("new_nodes_quota", settings.new_nodes_per_hour),
        share("all_new_nodes_quota", settings.all_new_nodes_per_hour),
    )


class Application(falcon.App[Any, Any]):
    """The WSGI application; the server tells it of the requests that it refused by itself."""

    def __init__(self, metrics: Registry) -> None:
        super().__init__(middleware=[AccessLog(metrics)])
        self._metrics = metrics

    def refused(self, status: int, code: str) -> None:
        """Count an answer that was given before the request was complete or understood."""
        self._metrics["ingest_requests_total"].labels("none", status).inc()
        self._metrics["ingest_cut_off_total"].labels(code).inc()


def create_app(settings: Settings, authentication: Authentication | None = None) -> Application:
    """The WSGI application."""
    parts = make_parts(settings, authentication)
    app = Application(parts.metrics)
    app.req_options.strip_url_path_trailing_slash = True
    _add_routes(app, parts)
    _add_error_handlers(app, parts)
    return app


def _add_routes(app: falcon.App[Any, Any], parts: Parts) -> None:
    app.add_route(f"{BASE}/ping", PingResource())
    for kind in parts.kinds.values():
        resource = KindResource(
            kind, parts.intake, parts.authentication, parts.settings, parts.metrics, parts.limits
        )
        app.add_route(f"{BASE}/{kind.name}", resource)
    app.add_route(f"{BASE}/schemas", SchemaIndexResource(parts.kinds))
    app.add_route(f"{BASE}/schemas/{{kind}}/{{file}}", SchemaResource(parts.kinds))
    app.add_route(
        f"{BASE}/enrol", EnrolResource(parts.store, parts.signed.directory, parts.limits, parts.settings)
    )
    app.add_route(f"{BASE}/openapi.json", OpenApiResource(parts.kinds))
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadyResource(parts.store, parts.settings))
    app.add_route("/version", VersionResource())
    app.add_route("/metrics", MetricsResource(parts.metrics))


def _add_error_handlers(app: falcon.App[Any, Any], parts: Parts) -> None:
    def refused(req: falcon.Request, resp: falcon.Response, error: IngestError, params: Any) -> None:
        req.context.error_code = error.code
        if isinstance(error, StoreUnavailableError):
            parts.metrics["ingest_store_failures_total"].labels(error.code).inc()
        if isinstance(error, QuotaExceededError):
            parts.metrics["ingest_limited_total"].labels(error.code).inc()
        answers.send_error(resp, error.status, error.code, error.sentence)
        if error.retry_after is not None:
            resp.set_header("Retry-After", str(error.retry_after))

    def http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any) -> None:
        status = error.status_code
        code, sentence = _HTTP_ERRORS.get(status, ("bad_request", "The request cannot be understood."))
        req.context.error_code = code
        answers.send_error(resp, status, code, sentence)
        for name, value in dict(error.headers or {}).items():
            resp.set_header(name, value)

    def unexpected(req: falcon.Request, resp: falcon.Response, error: Exception, params: Any) -> None:
        req.context.error_code = "internal"
        log.exception("unexpected", request_id=req.context.request_id, exc_info=error)
        answers.send_error(resp, 500, "internal", "Something went wrong here; the request id names it.")

    app.add_error_handler(Exception, unexpected)
    app.add_error_handler(falcon.HTTPError, http_error)
    app.add_error_handler(IngestError, refused)


_HTTP_ERRORS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not know that method; see Allow."),
}
