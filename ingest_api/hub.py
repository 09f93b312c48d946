"""Requests as greenlets in the event loop's thread: what one would wait for, others use the time for.

A request runs without interruption until it needs the database or something else that takes a while; there it steps
aside, and the loop goes on with the next one. So nobody competes for the interpreter, and a worker's caches stay warm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

T = TypeVar("T")


class Request(greenlet):  # type: ignore[misc]
    """A greenlet that knows its hub."""

    def __init__(self, run: Callable[[], None], hub: Hub) -> None:
        super().__init__(run)
        self.hub = hub


class Hub:
    """What a request steps aside to.

    Args:
        poller: the event loop's selector; its callbacks take the file object.
        threads: do what would hold up the loop.
        defer: has the loop call a function soon; may be called by any thread.
    """

    def __init__(self, poller: Any, threads: Executor, defer: Callable[..., None]) -> None:
        self.poller = poller
        self._threads = threads
        self._defer = defer
        self._main = getcurrent()
        self._soon: deque[Callable[[], None]] = deque()
        #: called at the end of each turn of the loop, when all that is ready has been looked at
        self.turn_ends: list[Callable[[], None]] = []

    def run(self, function: Callable[[], None]) -> None:
        """Begin a request (called by the loop); returns when it steps aside for the first time, or ends."""
        Request(function, self).switch()

    def soon(self, function: Callable[[], None]) -> None:
        """Have the loop call this at the end of its turn. Called by a request that ends."""
        self._soon.append(function)

    def end_turn(self) -> None:
        """All that was ready has been looked at."""
        # Only what is there now: a client that never stops sending must not keep the loop here.
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        for told in self.turn_ends:
            told()

    @property
    def is_idle(self) -> bool:
        """Whether the loop may wait for what comes."""
        return not self._soon

    def step_aside(self) -> Any:
        """Let the loop go on; returns what this request is switched to with. Called by a request."""
        return self._main.switch()

    def in_thread(self, function: Callable[[], T], then: Callable[[Future[T]], None]) -> None:
        """Have a thread work on something and the loop called with the outcome."""
        self._threads.submit(function).add_done_callback(lambda future: self._defer(then, future))

    def aside(self, function: Callable[[], T]) -> T:
        """Step aside until a thread has done this; its outcome. Called by a request."""
        me = getcurrent()
        self.in_thread(function, me.switch)
        future: Future[T] = self.step_aside()
        return future.result()


def current() -> Hub | None:
    """The hub of the request that runs here; None in a thread of its own, or outside the server."""
    me = getcurrent()
    return me.hub if isinstance(me, Request) else None
