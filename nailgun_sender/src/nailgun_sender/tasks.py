"""Asynchronous tasks of the host: how long they ran, whose children they are, how they ended."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from .observation import Observation, Task, TaskFinished, TaskStarted

if TYPE_CHECKING:
    from .recorder import Recorder

READY = "ready"
ERROR = "error"

GROUPS: Mapping[str, str] = {
    "verify_networks": "cluster_checking",
    "check_networks": "cluster_checking",
    "check_dhcp": "cluster_checking",
    "check_before_deployment": "cluster_checking",
    "check_before_provisioning": "cluster_checking",
    "multicast_verification": "cluster_checking",
    "check_repo_availability": "cluster_checking",
    "dump": "operations",
    "capacity_log": "operations",
    "create_stats_user": "statistics",
    "remove_stats_user": "statistics",
}
"""Groups of a Fuel node's task operations; every other operation is a cluster_changes."""

_current: ContextVar[Task | None] = ContextVar("nailgun_sender_task", default=None)
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Tasks:
    """Records tasks. None of these methods takes time or raises into the host.

    A task left unfinished stays open and is sent when it has finished. When the process that
    started it dies, it is closed as orphaned, unless it was started as ``detached``.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start_task(
        self,
        operation: str,
        *,
        cluster_id: int | None = None,
        parent: Task | str | None = None,
        actor: str | None = None,
        group: str | None = None,
        detached: bool = False,
    ) -> Task:
        """Note that a task begins; returns the handle for ``finish_task``.

        ``parent`` is the handle or uuid of the task it is part of, by default the one whose
        ``task()`` block encloses the call.
        """
        above = _current.get() if parent is None else parent
        task = Task(
            operation=operation,
            group=group or GROUPS.get(operation, "cluster_changes"),
            name=operation,
            cluster_id=cluster_id,
            actor=actor,
            parent_uuid=above.task_uuid if isinstance(above, Task) else above,
            detached=detached,
        )
        self._offer(TaskStarted(task))
        return task

    def finish_task(
        self,
        task: Task | str,
        status: str = READY,
        *,
        message: str | None = None,
        nodes: Sequence[int] = (),
        output: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that a task (its handle, or its uuid) has ended, ``ready`` or ``error``.

        The first end counts. The duration is taken from the monotonic clock, in whichever process
        of this machine the task ends.
        """
        self._offer(TaskFinished(task, status, message, nodes, output), essential=True)

    @contextmanager
    def task(
        self,
        operation: str,
        *,
        cluster_id: int | None = None,
        parent: Task | str | None = None,
        actor: str | None = None,
        group: str | None = None,
    ) -> Iterator[Task]:
        """Record a block as a task; an exception ends it as ``error`` and goes on its way.

        A block that has more to tell of its end (message, nodes, output) calls ``finish_task`` itself: the first end
        counts. In a thread of its own a block does not see the one around it: pass that as ``parent``.
        """
        task = self.start_task(operation, cluster_id=cluster_id, parent=parent, actor=actor, group=group)
        token = _current.set(task)
        try:
            yield task
        except BaseException as error:
            self.finish_task(task, ERROR, message=_described(error))
            raise
        else:
            self.finish_task(task, READY)
        finally:
            _current.reset(token)

    def tracked(
        self, operation: str | None = None, *, group: str | None = None, cluster_argument: str | None = None
    ) -> Callable[[_Function], _Function]:
        """Record each call of a function or coroutine as a task, named ``operation`` or like the function.

        ``cluster_argument`` names the argument that has the number of the cluster.
        """

        def decorate(function: _Function) -> _Function:
            name = operation or function.__name__
            parameters = inspect.signature(function)

            def block(args: Any, kwargs: Any) -> AbstractContextManager[Task]:
                cluster = _argument(parameters, cluster_argument, args, kwargs)
                return self.task(name, group=group, cluster_id=cluster)

            @functools.wraps(function)
            def recorded(*args: Any, **kwargs: Any) -> Any:
                with block(args, kwargs):
                    return function(*args, **kwargs)

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with block(args, kwargs):
                    return await function(*args, **kwargs)

            return awaited if inspect.iscoroutinefunction(function) else recorded  # type: ignore[return-value]

        return decorate

    def _offer(self, seen: Observation, essential: bool = False) -> None:
        try:
            self._recorder.offer(seen, essential)
        except Exception:  # noqa: BLE001 - the host's task goes on
            self._recorder.note_bug()


def _argument(parameters: inspect.Signature, name: str | None, args: Any, kwargs: Any) -> int | None:
    if name is None:
        return None
    try:
        found = parameters.bind(*args, **kwargs).arguments.get(name)
    except TypeError:
        return None  # the call itself will say what is wrong with it
    return found if type(found) is int else None


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception that cannot be printed
        return type(error).__name__
