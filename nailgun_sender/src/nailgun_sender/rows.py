"""From an observation to the row that is kept: named, hashed, sanitised."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from http.client import responses
from typing import Any

from . import clock
from .observation import Request, Task, TaskFinished
from .sanitise import actions, shape
from .urlmap import UrlMap

Row = dict[str, Any]


@dataclass(frozen=True)
class RowMaker:
    """Makes rows of ``action_logs``; used by the writer only, off the host's request path.

    ``actor_key`` keys the hash of who asked; without it (it is generated once a node and stays
    there) the hash of a known token or user name cannot be recomputed elsewhere.
    """

    urls: UrlMap
    actor_key: bytes
    record_unmapped: bool
    session: str

    def request(self, seen: Request) -> Row | None:
        """Row of a request; None when its URL is unmapped and such are not recorded."""
        action = self.urls.action(seen.path)
        if not action.mapped and not self.record_unmapped:
            return None
        end = clock.ended_at(seen.start, seen.ended)
        return {
            **self._common("http_request", action.group, action.name, action.cluster_id),
            "record_uuid": str(uuid.uuid4()),
            "actor_id": self.actor(seen.actor),
            "start_timestamp": clock.naive_utc(seen.start.wall),
            "end_timestamp": end,
            "duration_ms": max(0.0, seen.ended - seen.start.steady) * 1000,
            "additional_info": _info(seen, action.template),
        }

    def started(self, task: Task) -> Row:
        """Row of a task that has begun: without an end."""
        return {
            **self._common("nailgun_task", task.group, task.name, task.cluster_id),
            "record_uuid": task.task_uuid,
            "task_uuid": task.task_uuid,
            "parent_uuid": task.parent_uuid,
            "actor_id": self.actor(task.actor),
            "owner_session": None if task.detached else self.session,
            "start_timestamp": clock.naive_utc(task.start.wall),
            "start_steady": task.start.steady,
            "start_boot": task.boot,
            "additional_info": actions.task_info({"operation": task.operation}),
        }

    def end_info(self, finished: TaskFinished, operation: str) -> dict[str, Any]:
        """Return what a finished task says of itself, sanitised."""
        return actions.task_info(
            {
                "operation": operation,
                "ended_with_status": finished.status,
                "message": finished.message,
                "nodes_from_resp": list(finished.nodes),
                "output": None if finished.output is None else dict(finished.output),
            }
        )

    def actor(self, credential: str | None) -> str | None:
        """Keyed hash (64 hex digits) of who asked; None for nobody."""
        if not credential:
            return None
        named = credential.encode("utf-8", "surrogateescape")
        return hmac.new(self.actor_key, named, hashlib.sha256).hexdigest()

    def _common(self, kind: str, group: str, name: str, cluster_id: int | None) -> Row:
        return {
            "action_type": kind,
            "action_group": actions.name(group),
            "action_name": actions.name(name),
            "cluster_id": cluster_id,
            "recorded_at": clock.now(),
        }


def _info(seen: Request, template: str) -> dict[str, Any]:
    explained = _explanation(seen)
    if not explained:
        return actions.succeeded(seen.method, template, _status(seen))
    return actions.request_info(
        {
            "request_data": {"http_method": seen.method, "url": template, "data": {}},
            "response_data": {"status": _status(seen), "data": explained},
        }
    )


def _status(seen: Request) -> str:
    # The reason phrase is the host's own text; the standard one says the same and hides nothing.
    if seen.error_type is not None:
        return "500 Internal Server Error"
    code = (seen.status or "")[:3]
    if not code.isdigit():
        return "unknown"
    return f"{code} {responses.get(int(code), '')}".strip()


def _explanation(seen: Request) -> dict[str, Any]:
    if seen.error is None and seen.error_type is None:
        return {}
    text = seen.error.decode("utf-8", "replace") if isinstance(seen.error, bytes) else seen.error
    if seen.cut and text is not None:
        text = shape.whole_words(text)
    if seen.error_type is not None:
        text = f"{seen.error_type}: {text}"
    return {"message": text}
