"""``/api/v1/openapi.json``: the description of this API, OpenAPI 3.1. A test holds the running server to it."""

from __future__ import annotations

from typing import Any

import falcon

from analytics_api import report_tables
from analytics_api.exports import catalogue
from analytics_api.openapi_schemas import SCHEMAS, Schema, page, ref
from fuel_stat import __version__

BASE = "/api/v1"
JSON = "application/json"


def _content(schema: Schema, media: str = JSON) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}}


def _errors(*codes: int) -> dict[str, Any]:
    sentences = {
        400: "The request cannot be understood.",
        401: "A token is configured and the request carries none that is valid.",
        404: "There is no such thing.",
        409: "It is there, but not ready.",
        410: "It was there and was deleted after its time.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        429: "Too many reports wait already.",
        503: "A database cannot answer now, nothing is published yet, or all export slots are taken.",
    }
    return {str(code): {"description": sentences[code], **_content(ref("Error"))} for code in codes}


def _get(summary: str, schema: Schema, *errors: int, parameters: list[Any] | None = None) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "parameters": parameters or [],
            "responses": {"200": {"description": "OK", **_content(schema)}, **_errors(*errors)},
        }
    }


def _published(path: dict[str, Any]) -> dict[str, Any]:
    """The same, with the header that names the publication."""
    header = {
        "description": "Which publication the answer shows: answers that carry the same number belong together.",
        "schema": {"type": "string"},
    }
    path["get"]["responses"]["200"]["headers"] = {"Fuel-Stat-Publication": header}
    return path


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string"} | schema,
    }


def _path(name: str, description: str, **schema: Any) -> dict[str, Any]:
    shape = {"type": "string", "minLength": 1} | schema
    return {"name": name, "in": "path", "required": True, "description": description, "schema": shape}


_UID = _path("uid", "A node's uid, or the installation's pseudonym as answers and exports show it.")
_DATES = [
    _query("from_date", "First UTC day, YYYY-MM-DD; 90 days before to_date by default.", format="date"),
    _query("to_date", "Last UTC day, YYYY-MM-DD; today by default.", format="date"),
]
_PAGING = {
    "name": "paging_params",
    "in": "query",
    "required": False,
    "description": "Which part of the list, as JSON; 1000 from the start by default.",
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {
                    "limit": {"type": "integer", "minimum": 0, "maximum": 2**53},
                    "offset": {"type": "integer", "minimum": 0, "maximum": 2**53},
                },
            }
        }
    },
}


def _paged(summary: str, name: str, *parameters: Any) -> dict[str, Any]:
    return _get(summary, page(ref(name)), 400, 401, 503, parameters=[*parameters, _PAGING])


def _file(summary: str, parameters: list[Any], media: tuple[str, ...], *errors: int) -> dict[str, Any]:
    binary = {"type": "string"}
    return {
        "get": {
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "The file, as an attachment.",
                    "content": {kind: {"schema": binary} for kind in media},
                },
                **_errors(*errors),
            },
        }
    }


def _reports() -> dict[str, Any]:
    report_id = _path("report_id", "The task's id.", format="uuid")
    created = {
        "description": "Queued.",
        "headers": {"Location": {"schema": {"type": "string"}}},
        **_content(ref("Report")),
    }
    order = {
        "summary": "Order an export as a task.",
        "requestBody": {"required": True, **_content(ref("Order"))},
        "responses": {"202": created, **_errors(400, 401, 413, 415, 429, 503)},
    }
    listing = _get("The latest hundred report tasks.", ref("Reports"), 401, 503)
    return {
        f"{BASE}/reports": listing | {"post": order},
        f"{BASE}/reports/{{report_id}}": _get(
            "How a report task is.", ref("Report"), 401, 404, 503, parameters=[report_id]
        ),
        f"{BASE}/reports/{{report_id}}/file": _file(
            "The file of a finished report.",
            [report_id],
            ("text/csv", "application/x-tar"),
            401,
            404,
            409,
            410,
            503,
        ),
    }


def _report_tables() -> dict[str, Any]:
    name = _path("name", "Which report.", enum=list(report_tables.TABLES))
    chosen = [
        name,
        _query("release", "Only this Fuel release, where the report is counted by releases."),
        _query("from_date", "From this UTC day on, where the report is counted by days.", format="date"),
        _query("to_date", "Up to this UTC day.", format="date"),
    ]
    refused = (400, 401, 404, 503)
    return {
        f"{BASE}/json/report": _get("Which reports there are.", ref("ReportTables"), 401),
        f"{BASE}/json/report/{{name}}": _published(
            _get("A report as a table.", ref("ReportTable"), *refused, parameters=chosen)
        ),
        f"{BASE}/csv/report/{{name}}": _file("A report as a file.", chosen, ("text/csv",), *refused),
    }


def _session() -> dict[str, Any]:
    sign_in = {
        "summary": "Sign in: exchange the token for a cookie.",
        "requestBody": {"required": True, **_content(ref("SignIn"))},
        "responses": {"204": {"description": "Signed in."}, **_errors(400, 401, 413, 415)},
    }
    sign_out = {"summary": "Sign out.", "responses": {"204": {"description": "Signed out."}}}
    needed = _get("Whether a sign-in is needed.", ref("SignInNeeded"))
    return {f"{BASE}/session": needed | {"post": sign_in, "delete": sign_out}}


def _paths() -> dict[str, Any]:
    release = _query("release", "Only installations of this Fuel release; all by default.")
    name = _path("name", "Which export.", enum=list(catalogue.NAMES))
    resource_type = _path("resource_type", "Only records of this type.")
    return {
        f"{BASE}/json/report/installations": _published(
            _get("Totals and distributions.", ref("Distributions"), 401, 503, parameters=[release])
        ),
        f"{BASE}/json/report/releases": _published(_get("Releases in use.", ref("Releases"), 401, 503)),
        f"{BASE}/json/summary": _published(_get("Totals of all kinds.", ref("Summary"), 401, 503)),
        f"{BASE}/json/installation_info/{{uid}}": _get(
            "An installation's latest structure.", ref("Installation"), 401, 404, 503, parameters=[_UID]
        ),
        f"{BASE}/json/installation_infos/filtered": _paged(
            "Installations that are filtered out.", "Installation"
        ),
        f"{BASE}/json/oswls/{{uid}}": _paged("An installation's workload records.", "Workload", _UID),
        f"{BASE}/json/oswls/{{uid}}/{{resource_type}}": _paged(
            "An installation's workload records of one type.", "Workload", _UID, resource_type
        ),
        f"{BASE}/json/action_logs/{{uid}}": _paged("An installation's action logs.", "ActionLog", _UID),
        f"{BASE}/csv/{{name}}": _file(
            "An export, streamed.",
            [name, *_DATES],
            ("text/csv", "application/x-tar"),
            400,
            401,
            404,
            503,
        ),
        **_report_tables(),
        **_reports(),
        f"{BASE}/status": _get(
            "The published version, its freshness, and how the last run and audit went.",
            ref("Status"),
            401,
            503,
        ),
        f"{BASE}/integrity": _get(
            "Records and hashes at each stage.", ref("Integrity"), 400, 401, 503, parameters=_DATES
        ),
        **_session(),
        "/healthz": _get("Alive.", ref("Health")),
        "/readyz": _get("Able to answer.", ref("Health"), 503),
        "/version": _get("Name and version.", ref("Version")),
    }


def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fuel-stat analytics",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Anonymous usage statistics of Fuel master nodes, read from the published marts. Every "
            "answer shows one publication. A token is needed only where the operator configured one.",
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "fuel_stat_session"},
            },
        },
        "security": [{}, {"token": []}, {"session": []}],
    }


class OpenApiResource:
    """The description, made once."""

    def __init__(self) -> None:
        self._document = document()

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 with the OpenAPI document."""
        response.media = self._document
