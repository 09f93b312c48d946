"""The action log of an installation: what Nailgun writes for each API request and each task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from fleet.clock import Clock
from fleet.leaks import Leaks

_TASK_GROUPS = {
    "verify_networks": "cluster_checking",
    "check_networks": "cluster_checking",
    "check_dhcp": "cluster_checking",
    "check_before_deployment": "cluster_checking",
    "dump": "operations",
}

_FAILURES = {
    "deployment": "Deployment has failed. Method granular_deploy. Deployment failed on nodes 2.",
    "provision": "Provision has failed. Timeout of provisioning is exceeded.",
    "deploy": "Deployment has failed.",
    "verify_networks": "Verification failed. Some nodes do not see each other.",
    "check_before_deployment": "Not enough OSD nodes: at least 3 are required.",
}

_HTTP_STATUS = {
    200: "200 OK",
    201: "201 Created",
    202: "202 Accepted",
    400: "400 Bad Request",
    404: "404 Not Found",
    409: "409 Conflict",
    500: "500 Internal Server Error",
}


@dataclass(frozen=True)
class Action:
    """One row of a node's action log. `ended` is the true UTC end; None: it never ends."""

    external_id: int
    body: dict[str, Any]
    started: datetime
    ended: datetime | None

    @property
    def is_task(self) -> bool:
        """Only tasks can be sent before they have ended."""
        return bool(self.body.get("action_type") == "nailgun_task")

    def finished_at(self, moment: datetime) -> bool:
        """Whether the row has its end at the true UTC `moment`."""
        return not self.is_task or (self.ended is not None and self.ended <= moment)

    def record(self, uid: str, moment: datetime) -> dict[str, Any]:
        """The record as the node sends it at `moment`: a running task has neither end nor result."""
        body = self.body
        if not self.finished_at(moment):
            info = {**body["additional_info"], "message": None, "output": None}
            info.pop("ended_with_status")
            body = {**body, "end_timestamp": None, "additional_info": info}
        return {"body": body, "external_id": self.external_id, "master_node_uid": uid}


@dataclass
class ActionLog:
    """Collects the actions of one installation and gives them Nailgun's ids, in order of their start."""

    rng: Random
    clock: Clock
    leaks: Leaks
    actor: str
    _tasks: int = 0
    _drafts: list[tuple[datetime, datetime | None, dict[str, Any]]] = field(default_factory=list)

    def request(
        self,
        moment: datetime,
        method: str,
        url: str,
        names: tuple[str, str],
        cluster_id: int | None,
        *,
        status: int = 200,
        message: str | None = None,
    ) -> datetime:
        """A modifying API request at `moment`; `names` are (group, name). Returns its end."""
        ended = moment + timedelta(seconds=self.rng.lognormvariate(-2.2, 1.0))
        body = self._body(moment, ended, names, cluster_id)
        body["action_type"] = "http_request"
        body["additional_info"] = {
            "request_data": {"http_method": method, "url": url, "data": {}},
            "response_data": {
                "status": _HTTP_STATUS[status],
                "data": {"message": message} if message else {},
            },
        }
        self._drafts.append((moment, ended, body))
        return ended

    def task(
        self,
        moment: datetime,
        operation: str,
        cluster_id: int | None,
        seconds: float,
        *,
        ready: bool = True,
        nodes: int = 0,
        parent: int | None = None,
        subtasks: Sequence[int] = (),
        endless: bool = False,
    ) -> datetime:
        """A task of `seconds` from `moment`; `endless` ones never report an end. Returns the end.

        `parent` and `subtasks` are Nailgun's own numbers of tasks (see `new_task`), not ids of action logs.
        """
        ended = moment + timedelta(seconds=seconds)
        group = _TASK_GROUPS.get(operation, "cluster_changes")
        body = self._body(moment, ended, (group, operation), cluster_id)
        body["action_type"] = "nailgun_task"
        body["task_uuid"] = str(UUID(int=self.rng.getrandbits(128), version=4))
        body["additional_info"] = {
            "operation": operation,
            "parent_task_id": parent,
            "subtasks_ids": list(subtasks),
            "nodes_from_resp": list(range(1, nodes + 1)),
            "ended_with_status": "ready" if ready else "error",
            "message": "" if ready else _FAILURES.get(operation, "Task failed."),
            "output": self._output(operation, nodes),
        }
        self._drafts.append((moment, None if endless else ended, body))
        return ended

    def new_task(self) -> int:
        """The number of a new task, for those that contain or are contained in others."""
        self._tasks += 1
        return self._tasks

    def actions(self) -> list[Action]:
        """All actions by start, numbered from 1."""
        rows = sorted(self._drafts, key=lambda draft: draft[0])
        return [
            Action(number, {"id": number, **body}, started, ended)
            for number, (started, ended, body) in enumerate(rows, start=1)
        ]

    def _body(
        self, started: datetime, ended: datetime, names: tuple[str, str], cluster_id: int | None
    ) -> dict[str, Any]:
        return {
            "actor_id": self.actor,
            "action_group": names[0],
            "action_name": names[1],
            "start_timestamp": self.clock.stamp(started),
            "end_timestamp": self.clock.stamp(ended),
            "is_sent": False,
            "cluster_id": cluster_id,
            "task_uuid": None,
        }

    def _output(self, operation: str, nodes: int) -> dict[str, Any] | None:
        if operation == "verify_networks":
            uids = [{"uid": number} for number in range(1, nodes + 1)]
            return {"method": "verify_networks", "args": {"nodes": uids}, "api_version": "1"}
        if operation == "provision" and self.rng.random() < 0.1:
            # What real nodes leaked now and then: the provisioning data, credentials included.
            return {
                "method": "image_provision",
                "args": {
                    "provisioning_info": {
                        "engine": {"username": "cobbler", "password": self.leaks.password(self.rng)}
                    }
                },
            }
        return None
