"""``GET /api/v1/openapi.json``: OpenAPI 3.1, made from the kinds and from what the resources really answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ingest_api import answers
from ingest_api.kinds import Kind

_ERRORS = {
    "400": "Not JSON, not the envelope, or no record of the request is good.",
    "401": "Only for signed requests: a signature from another time.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long, as sent or inflated.",
    "415": "A Content-Encoding other than gzip.",
    "429": "A quota is used up; see Retry-After. Send again, nothing is lost.",
    "503": "The database cannot take the request now; see Retry-After. Send again, nothing is lost.",
}
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}


class OpenApiResource:
    """The document."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._document = answers.dumps(document(kinds))

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The document as JSON."""
        resp.content_type = answers.JSON
        resp.data = self._document


def document(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """OpenAPI 3.1 of the collector with these kinds."""
    paths: dict[str, Any] = {
        "/api/v1/ping/": {"get": _get("Is anybody there?", answers.response_schema(None))}
    }
    for kind in kinds.values():
        paths[f"/api/v1/{kind.name}/"] = {"post": _post(kind)}
    status = {"type": "object", "properties": {"status": {"enum": ["ok", "error"]}}, "required": ["status"]}
    paths["/api/v1/schemas/"] = {"get": _get("The kinds and the addresses of their schemas.", status)}
    paths["/healthz"] = {"get": _get("The process lives.", status)}
    paths["/version"] = {"get": _get("What runs.", status)}
    ready = _get("A commit succeeds, partitions reach far enough, the disk has room.", status)
    ready["responses"]["503"] = {**_json("Not ready.", status), "headers": _RETRY}
    paths["/readyz"] = {"get": ready}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fuel-stat collector", "version": "1", "license": {"name": "Apache-2.0"}},
        "paths": paths,
    }


def _post(kind: Kind) -> dict[str, Any]:
    record = {name: value for name, value in kind.schema.items() if name != "$schema"}
    content = {"type": "array", "items": record} if kind.many else record
    body = {
        "type": "object",
        "properties": {kind.envelope: content},
        "required": [kind.envelope],
        "additionalProperties": False,
    }
    schema = answers.response_schema(kind)
    responses = {"200": _json("Committed; the records say what became of each.", schema)}
    if not kind.many:
        responses["201"] = _json("Committed; the node is new.", schema)
    for status, text in _ERRORS.items():
        responses[status] = _json(text, schema)
        if status in ("429", "503"):
            responses[status]["headers"] = _RETRY
    return {
        "summary": str(kind.schema.get("title", kind.name)),
        "requestBody": {"required": True, "content": {answers.JSON: {"schema": body}}},
        "responses": responses,
    }


def _get(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _json(summary, schema)}}


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {answers.JSON: {"schema": schema}}}
