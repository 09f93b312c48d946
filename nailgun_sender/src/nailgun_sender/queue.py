"""A bounded queue that never makes the one who offers wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import MutableSequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """First in, first out, at most ``capacity`` items; what comes when it is full is refused.

    Essential items (the end of a task, without which it would stay open) may use a reserve of
    another ``capacity``. The lock is held for a few instructions only, never over I/O.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # accepted and refused; moved into shared memory when there is a tally
        self._counts: MutableSequence[int] | memoryview = [0, 0]
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = True

    @property
    def accepted(self) -> int:
        """How many items were taken up so far."""
        return self._counts[0]

    @property
    def refused(self) -> int:
        """How many items were refused so far."""
        return self._counts[1]

    def count_in(self, counts: memoryview) -> None:
        """Keep the two counts in ``counts`` from now on."""
        with self._lock:
            counts[0], counts[1] = self._counts[0], self._counts[1]
            self._counts = counts

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T, essential: bool = False) -> bool:
        """Add an item; False when it was refused. Returns at once either way."""
        room = self.capacity * 2 if essential else self.capacity
        with self._lock:
            if len(self._items) >= room:
                self._counts[1] += 1
                return False
            self._items.append(item)
            self._counts[0] += 1
        if self._idle:
            # only the first item after a pause pays for waking the writer
            self._idle = False
            self._wake.set()
        return True

    def take(self, most: int) -> list[T]:
        """Remove and return up to ``most`` items, oldest first."""
        with self._lock:
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def wait(self, timeout: float) -> None:
        """Return when there may be an item, or after ``timeout`` seconds (for the taker only)."""
        self._wake.clear()
        self._idle = True
        if not self._items:
            self._wake.wait(timeout)
        self._idle = False

    def wake(self) -> None:
        """Make the taker return from ``wait``."""
        self._wake.set()
