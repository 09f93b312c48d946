"""``GET /api/v1/openapi.json``: OpenAPI 3.1, made from the kinds and from what the resources really answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from ingest_api import answers
from ingest_api.kinds import Kind

#: any request may get these, before it is understood
_FRAMING = {
    "400": "Not HTTP, not JSON, not the envelope, or no record of the request is good.",
    "408": "The headers or the body did not arrive in time.",
    "411": "A body without Content-Length.",
    "414": "The request line is too long.",
    "417": "An expectation other than 100-continue.",
    "431": "Too many headers, or too long ones.",
}
_LIMITS = {
    "413": "The body is too long, as sent or inflated.",
    "429": "A quota is used up; see Retry-After. Send again, nothing is lost.",
    "503": "The database cannot take the request now; see Retry-After. Send again, nothing is lost.",
}
_ERRORS = {
    **_FRAMING,
    **_LIMITS,
    "401": "Only for signed requests: a signature from another time, or of an older structure than the last.",
    "415": "A Content-Encoding other than gzip.",
}
_ENROL_ERRORS = {
    **_FRAMING,
    **_LIMITS,
    "403": "Blocked, a wrong code, a wrong proof, or a revoked key.",
}
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_STATUS = {"type": "object", "properties": {"status": {"enum": ["ok", "error"]}}, "required": ["status"]}


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
    paths["/api/v1/enrol"] = {"post": _enrol()}
    paths["/api/v1/schemas/"] = {"get": _get("The kinds and the addresses of their schemas.", _STATUS)}
    paths["/api/v1/schemas/{kind}/{file}"] = {"get": _schema(kinds)}
    paths["/api/v1/openapi.json"] = {
        "get": _get("This document.", {"type": "object", "required": ["openapi"]})
    }
    paths["/healthz"] = {"get": _get("The process lives.", _STATUS)}
    paths["/version"] = {"get": _get("What runs, and where it listens.", _STATUS)}
    ready = _get("A commit succeeds, partitions reach far enough, the disk has room.", _STATUS)
    ready["responses"]["503"] = {**_json("Not ready.", _STATUS), "headers": _RETRY}
    paths["/readyz"] = {"get": ready}
    metrics = _get("Metrics.", _STATUS)
    metrics["responses"]["200"] = {
        "description": "In Prometheus' text form.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    paths["/metrics"] = {"get": metrics}
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
    responses |= _refusals(_ERRORS, schema)
    return {
        "summary": str(kind.schema.get("title", kind.name)),
        "requestBody": {"required": True, "content": {answers.JSON: {"schema": body}}},
        "responses": responses,
    }


def _enrol() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    body = {
        "type": "object",
        "properties": {
            "master_node_uid": {**text, "maxLength": 255},
            "public_key": {**text, "description": "Ed25519, 32 bytes, base64."},
            "proof": {**text, "description": "Signature of uid and key by the key itself, base64."},
            "code": {"type": "string", "description": "One-time code from the operator."},
        },
        "required": ["master_node_uid", "public_key", "proof"],
    }
    done = {
        "type": "object",
        "properties": {
            "status": {"enum": ["ok"]},
            "state": {"enum": ["active", "pending"]},
            "tier": {"enum": [0, 1, 2]},
            "key_id": text,
        },
        "required": ["status", "state", "tier", "key_id"],
        "additionalProperties": False,
    }
    successes = {"200": "Bound already, or rotated.", "201": "Bound.", "202": "The operator decides."}
    return {
        "summary": "Bind a key to a node.",
        "requestBody": {"required": True, "content": {answers.JSON: {"schema": body}}},
        "responses": {status: _json(text, done) for status, text in successes.items()}
        | _refusals(_ENROL_ERRORS, answers.ERROR),
    }


def _schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    operation = _get("One schema.", {"type": "object"})
    operation["responses"]["404"] = _json("There is no such schema.", answers.ERROR)
    operation["parameters"] = [
        {"name": "kind", "in": "path", "required": True, "schema": {"enum": sorted(kinds)}},
        {"name": "file", "in": "path", "required": True, "schema": {"type": "string"}},
    ]
    return operation


def _get(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    responses = {"200": _json(summary, schema)} | _refusals(_FRAMING, answers.ERROR)
    return {"summary": summary, "responses": responses}


def _refusals(errors: Mapping[str, str], schema: dict[str, Any]) -> dict[str, Any]:
    refusals = {status: _json(text, schema) for status, text in errors.items()}
    for status in refusals.keys() & {"429", "503"}:
        refusals[status]["headers"] = _RETRY
    return refusals


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {answers.JSON: {"schema": schema}}}
