"""What travels from the host's threads to the writer: raw, small, made in microseconds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Union

from .clock import Moment, boot_id


class Request:
    """A modifying request as it was seen; nothing in it is sanitised yet.

    ``actor`` is the credential as sent: it lives in memory only, the writer keeps its keyed hash.
    ``ended`` is a monotonic reading. ``error`` is the first bytes of a failed answer's body, or the
    text of the exception that the host raised; ``cut``: there was
    more than ``room`` left for.
    """

    __slots__ = (
        "actor",
        "cut",
        "ended",
        "error",
        "error_type",
        "method",
        "path",
        "room",
        "status",
        "steady",
        "wall",
    )

    def __init__(self, method: str, path: str, actor: str | None) -> None:
        self.method = method
        self.path = path
        self.actor = actor
        self.wall = time()
        self.steady = monotonic()
        self.ended = 0.0
        self.status: str | None = None
        self.error: bytes | str | None = None
        self.error_type: str | None = None
        self.cut = False
        self.room = 0

    @property
    def start(self) -> Moment:
        """When the request came."""
        return Moment(self.wall, self.steady)

    def note(self, chunk: bytes) -> None:
        """Keep what there is room for of a failed answer's body."""
        part = bytes(chunk[: self.room])
        self.error = self.error + part if isinstance(self.error, bytes) else part
        self.room -= len(part)
        self.cut = self.cut or len(part) < len(chunk)


@dataclass(frozen=True)
class Task:
    """A started task: the handle that ``start_task`` gives and ``finish_task`` takes.

    Picklable: it may finish in another process. ``detached`` tasks outlive the process that
    started them, so its death does not close them.
    """

    operation: str
    group: str
    name: str
    cluster_id: int | None = None
    actor: str | None = None
    parent_uuid: str | None = None
    detached: bool = False
    task_uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    start: Moment = field(default_factory=Moment.now)
    boot: str = field(default_factory=boot_id)


@dataclass(frozen=True)
class TaskStarted:
    """A task began."""

    task: Task


@dataclass(frozen=True)
class TaskFinished:
    """A task ended with ``status`` (``ready`` or ``error``), by handle or by its uuid alone."""

    task: Task | str
    status: str
    message: str | None
    nodes: Sequence[int]
    output: Mapping[str, Any] | None
    end: Moment = field(default_factory=Moment.now)
    boot: str = field(default_factory=boot_id)


Observation = Union[Request, TaskStarted, TaskFinished]
