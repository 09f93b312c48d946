"""The recorder: the one object a host makes."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from .lane import Lane
from .observation import Observation
from .settings import Settings
from .tasks import Tasks
from .urlmap import UrlMap

_FORK_PATIENCE = 0.05  # seconds
_FORK_PATIENCE_SQLITE = 0.5
_LOOK_EVERY = 8  # a dead writer need not be noticed at once, and looking costs a little


@dataclass(frozen=True)
class Status:
    """What the recorder of this process is at: totals since it started, and the present trouble."""

    accepted: int
    dropped: int
    waiting: int
    bugs: int
    trouble: str | None


class Recorder:
    """Takes observations from the middleware and from tasks, in any process of the host.

    It may be made before the host forks: each process gets a queue, a thread and a database
    connection of its own at its first record, and what the parent had stays the parent's.
    No method but ``flush`` and ``close`` takes time, and none raises into the host.
    """

    def __init__(self, settings: Settings | None = None, urls: UrlMap | None = None) -> None:
        self.settings = Settings.from_env() if settings is None else settings
        self.tasks = Tasks(self)
        self._urls = UrlMap() if urls is None else urls
        self._lanes: dict[int, Lane] = {}
        self._inherited: list[dict[int, Lane]] = []
        self._held: dict[int, Lane] = {}
        _follow(self)

    def offer(self, seen: Observation, essential: bool = False) -> bool:
        """Take an observation; False when it was dropped, which is counted."""
        lane = self._lanes.get(os.getpid())
        if lane is None:
            lane = self._lane()
        taken = lane.queue.offer(seen, essential)
        if not lane.asked % _LOOK_EVERY:
            lane.look_after_writer()
        lane.asked += 1
        return taken

    def note_bug(self) -> None:
        """Count a failure of the recorder itself."""
        self._lane().writer.bugs += 1

    def error_room(self, headers: Sequence[tuple[str, str]]) -> int:
        """How many bytes of a failed answer's body explain it: none when it says that it is not text."""
        given = {name.lower(): value.lower() for name, value in headers}
        kind = given.get("content-type", "")
        if given.get("content-encoding", "identity") != "identity":
            return 0
        textual = not kind or kind.startswith("text/") or "json" in kind or "xml" in kind
        return self.settings.error_bytes if textual else 0

    def status(self) -> Status:
        """Say how recording goes in this process."""
        lane = self._lane()
        queue, writer = lane.queue, lane.writer
        return Status(queue.accepted, queue.refused, len(queue), writer.bugs, writer.trouble)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was accepted so far is in the database; False when time ran out."""
        lane = self._lane()
        until = time.monotonic() + timeout
        while not lane.writer.is_idle:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def close(self, timeout: float | None = None) -> None:
        """Write what waits and end this process's session; called by itself at exit."""
        lane = self._lanes.get(os.getpid())
        if lane is not None:
            lane.close(self.settings.flush_timeout if timeout is None else timeout)

    def _lane(self) -> Lane:
        # Lock-free on purpose: a lock could have been held by another thread at the fork.
        pid = os.getpid()
        lane = self._lanes.get(pid)
        if lane is None:
            lane = self._lanes.setdefault(pid, Lane(self.settings, self._urls))
        return lane

    def _before_fork(self) -> None:
        # Let the writer finish what it is at: a child born in the middle of it could find locks of a library held by
        # a thread that it does not have. For moments only, since the host waits; longer than that the writer sits in
        # a system call (a slow disk, a database that hangs). SQLite gets more of them: a child of an open write
        # transaction takes that for its own for ever and cannot write.
        lane = self._lanes.get(os.getpid())
        is_sqlite = self.settings.database_url.startswith("sqlite")
        patience = _FORK_PATIENCE_SQLITE if is_sqlite else _FORK_PATIENCE
        if lane is not None and lane.writer.gate.acquire(timeout=patience):
            self._held[threading.get_ident()] = lane

    def _after_fork_in_parent(self) -> None:
        lane = self._held.pop(threading.get_ident(), None)
        if lane is not None:
            lane.writer.gate.release()

    def _after_fork_in_child(self) -> None:
        # The parent's lanes are kept, unused: collecting them could close its connections.
        self._inherited.append(self._lanes)
        self._lanes = {}
        self._held = {}


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()
_hooked = threading.Lock()
_is_hooked = False


def _follow(recorder: Recorder) -> None:
    global _is_hooked
    _recorders.add(recorder)
    with _hooked:
        if not _is_hooked:
            os.register_at_fork(
                before=_each(Recorder._before_fork),
                after_in_parent=_each(Recorder._after_fork_in_parent),
                after_in_child=_each(Recorder._after_fork_in_child),
            )
            atexit.register(_at_exit)
            _is_hooked = True


def _each(hook: Callable[[Recorder], None]) -> Callable[[], None]:
    def call() -> None:
        for recorder in list(_recorders):
            hook(recorder)

    return call


def _at_exit() -> None:
    for recorder in list(_recorders):
        recorder.close()
