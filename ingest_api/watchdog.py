"""Cuts off clients that trickle their body: one thread a worker looks at the open reads every quarter of a second.

gunicorn's body reader waits for as many bytes as were asked for, so a deadline has to come from outside: the reading
side of the socket is shut, the read returns short, and there is still a way to answer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_INTERVAL = 0.25


class Watchdog:
    """Deadlines of sockets that are being read. The thread starts with the first use, so after the fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, tuple[float, socket.socket]] = {}
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def guard(self, connection: socket.socket | None, seconds: float) -> Iterator[None]:
        """Within this block, reading from the socket ends after so many seconds."""
        if connection is None:
            yield
            return
        key = id(connection)
        with self._lock:
            self._deadlines[key] = (time.monotonic() + seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="slow-bodies", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(key, None)

    def _look(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            now = time.monotonic()
            with self._lock:
                late = [key for key, (deadline, _) in self._deadlines.items() if deadline < now]
                for key in late:
                    _, connection = self._deadlines.pop(key)
                    # It may have been closed by the client meanwhile: then there is nothing left to cut.
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)
