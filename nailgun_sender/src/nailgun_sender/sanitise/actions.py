"""Allow-list of what is kept of requests and tasks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .deny import deny
from .shape import DROP, IDENT, LABEL, many, number, obj, one_of, text, word

_MESSAGE = text()

_REQUEST = obj(
    {
        "request_data": obj(
            {
                "http_method": one_of("POST", "PUT", "PATCH", "DELETE"),
                "url": word(r"[a-z_/{}…]*", 300),
                "data": obj({}),
            }
        ),
        "response_data": obj(
            {
                "status": word(r"[0-9]{3}( [A-Za-z '-]+)?|unknown"),
                "data": obj({"message": _MESSAGE}),
            }
        ),
    }
)

# Of a task's output only its own envelope: the arguments are provisioning data.
_TASK = obj(
    {
        "operation": LABEL,
        "ended_with_status": one_of("ready", "error"),
        "message": _MESSAGE,
        "nodes_from_resp": many(IDENT, 1000),
        "parent_task_id": number,
        "subtasks_ids": many(number),
        "output": obj({"method": LABEL, "respond_to": LABEL, "api_version": IDENT}),
    }
)


def request_info(info: dict[str, Any]) -> dict[str, Any]:
    """Return the ``additional_info`` of a request that may be kept."""
    return _clean(_REQUEST(info))


@lru_cache(maxsize=1024)
def succeeded(method: str, template: str, status: str) -> dict[str, Any]:
    """Return the ``additional_info`` of a request that has nothing to explain; not to be changed.

    Nearly all requests are such, and alike: remembering them leaves the interpreter to the host.
    """
    return request_info(
        {
            "request_data": {"http_method": method, "url": template, "data": {}},
            "response_data": {"status": status, "data": {}},
        }
    )


def task_info(info: dict[str, Any]) -> dict[str, Any]:
    """Return the ``additional_info`` of a task that may be kept."""
    return _clean(_TASK(info))


@lru_cache(maxsize=1024)
def name(given: str) -> str:
    """Group or name of an action; one that is not a plain name becomes ``other``."""
    kept = LABEL(given)
    return "other" if kept is DROP or kept is None else str(kept)


def _clean(kept: Any) -> dict[str, Any]:
    cleaned = deny(kept)
    assert isinstance(cleaned, dict)
    return cleaned
