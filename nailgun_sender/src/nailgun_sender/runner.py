"""Sending from a thread of the host's own process, for small hosts without a place for a background process."""

from __future__ import annotations

import os
import threading

from .cli.node import Node
from .messenger.daemon import Daemon


class SenderThread:
    """The background process as a daemon thread.

    ``start`` may be called in every process of the host, also after a fork: one of them sends at a time. The host
    is not held up when it ends: what was not sent is sent after its next start.

    >>> sender = SenderThread()  # settings from FUEL_STAT_SENDER_*
    >>> sender.start()           # after the fork, e.g. in gunicorn's post_worker_init
    """

    def __init__(self, node: Node | None = None) -> None:
        self._node = node or Node.from_env()
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._daemon: Daemon | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread lives in this process."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start it, unless it runs in this process already."""
        if self.is_running:
            return
        node = self._node
        self._pid = os.getpid()
        self._daemon = Daemon(node.settings, node.messenger, node.cycle)
        self._thread = threading.Thread(target=self._daemon.run, name="nailgun-sender-messenger", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ask it to end after the request that is under way; returns whether it did in time."""
        if not self.is_running or self._daemon is None or self._thread is None:
            return True
        self._daemon.stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()
