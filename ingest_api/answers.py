"""The bodies of answers: always JSON, always with ``status``; and what their schemas are."""

from __future__ import annotations

from typing import Any

import falcon
import jsonschema_rs
import orjson

from ingest_api.kinds import Kind

JSON = "application/json"
#: what every refusal looks like
ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {"status": {"enum": ["error"]}, "message": {"type": "string"}, "code": {"type": "string"}},
    "required": ["status", "message"],
}
_OK: dict[str, Any] = {
    "type": "object",
    "properties": {"status": {"enum": ["ok"]}, "exec_time": {"type": "number"}},
    "required": ["status", "exec_time"],
    "additionalProperties": False,
}


def dumps(body: Any) -> bytes:
    """JSON, non-ASCII as UTF-8."""
    return orjson.dumps(body)


def error_body(code: str, sentence: str) -> dict[str, str]:
    """What every refusal says."""
    return {"status": "error", "message": sentence, "code": code}


def send_error(resp: falcon.Response, status: int, code: str, sentence: str) -> None:
    """Make the response a refusal."""
    resp.status = falcon.code_to_http_status(status)
    resp.content_type = JSON
    resp.data = dumps(error_body(code, sentence))


def response_schema(kind: Kind | None) -> dict[str, Any]:
    """The schema (Draft 4) of the answers of a kind's resource, or of ping."""
    success: dict[str, Any] = _OK
    failure: dict[str, Any] = ERROR
    if kind is not None and kind.many:
        listed = {kind.name: {"type": "array", "items": _record_schema(kind)}}
        success = {
            **_OK,
            "properties": {**_OK["properties"], **listed},
            "required": ["status", "exec_time", kind.name],
        }
        failure = {**ERROR, "properties": {**ERROR["properties"], **listed}}
    return {"oneOf": [success, {**failure, "additionalProperties": False}]}


def _record_schema(kind: Kind) -> dict[str, Any]:
    known = "existed" if kind.ledger == "bitmap" else "updated"
    statuses = ["added", known, "failed"] + (["skipped"] if kind.unfinished else [])
    return {
        "type": "object",
        "properties": {
            kind.uid: {"type": ["string", "null"]},
            str(kind.id): {"type": ["integer", "null"]},
            "status": {"enum": statuses},
        },
        "required": [kind.uid, str(kind.id), "status"],
        "additionalProperties": False,
    }


class ResponseCheck:
    """Validates answers against their schema."""

    def __init__(self, kind: Kind | None) -> None:
        self._is_valid = jsonschema_rs.Draft4Validator(response_schema(kind), validate_formats=False).is_valid

    def matches(self, body: Any) -> bool:
        """Whether the answer is one that the schema allows."""
        return self._is_valid(body)
