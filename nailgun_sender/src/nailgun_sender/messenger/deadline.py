"""Ends a connection that outlives its time: a peer that sends a byte now and then keeps every other timeout quiet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Knows the sockets of a pool and shuts them down when a request takes too long."""

    def __init__(self) -> None:
        self._guards: list[socket.socket] = []

    def watch(self, pool: urllib3.PoolManager) -> None:
        """See every connection that this pool opens."""
        deadline = self

        class Plain(HTTPConnection):
            def _new_conn(self) -> Any:
                return deadline.opened(super()._new_conn())

        class Secure(HTTPSConnection):
            def _new_conn(self) -> Any:
                return deadline.opened(super()._new_conn())

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def opened(self, connection: Any) -> Any:
        """Keep a second handle: the first is handed on to TLS, which empties it."""
        self.forget()
        self._guards.append(connection.dup())
        return connection

    @contextmanager
    def within(self, seconds: float) -> Iterator[threading.Event]:
        """Shut down what is open when this takes longer; the event tells that it did."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            for guard in list(self._guards):
                with suppress(OSError):  # it is closed already
                    guard.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            yield expired
        finally:
            timer.cancel()

    def forget(self) -> None:
        """Close our handles, or the peer would not see that the connection ended."""
        while self._guards:
            self._guards.pop().close()
