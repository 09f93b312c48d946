"""A client's connection, as the event loop sees it: nothing here ever waits for the client."""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
from typing import Any

from ingest_api.gathering import Bounds, Gathering

_PIECE = 256 * 1024
_MOST_AT_ONCE = 2**20
_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(enum.Enum):
    """What a connection waits for."""

    IDLE = "idle"  # kept alive, nothing of a next request has come
    HEAD = "head"
    BODY = "body"
    WORKING = "working"  # a thread has its request
    WRITING = "writing"  # the client has not taken the whole answer yet
    LINGERING = "lingering"  # answered; what it still sends is thrown away, else it might not read the answer
    CLOSED = "closed"


class Outgoing:
    """Where gunicorn writes an answer: kept, and sent as far as the client takes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.left = bytearray()

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.left += data

    def send(self, data: bytes) -> int:
        """Keep it."""
        self.left += data
        return len(data)

    def flush(self) -> bool:
        """Send what the client takes now; true when nothing is left.

        Raises:
            OSError: the client is gone.
        """
        while self.left:
            try:
                sent = self._socket.send(self.left)
            except _WAITS:
                return False
            del self.left[:sent]
        return True


class Connection:
    """The socket, what has arrived on it, and until when the event loop waits for it.

    Args:
        connection: accepted; made non-blocking here.
        client, server: the two addresses; ``network`` is a name for the client's.
        bounds: what is gathered of a request.
        tls: wraps the connection when its listener speaks TLS.
    """

    def __init__(
        self,
        connection: socket.socket,
        client: Any,
        server: Any,
        network: str,
        bounds: Bounds,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        connection.setblocking(False)
        # Answers are written in one piece: waiting for more to send along only delays them.
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._shaking = tls is not None
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.socket = connection
        self.client, self.server, self.network = client, server, network
        self.sock = Outgoing(connection)
        self.request = Gathering(bounds)
        self.phase = Phase.HEAD
        #: the event that the loop is told of; 0: none
        self.watched = 0
        self.deadline = 0.0
        self.answered = 0.0
        self.keep = False

    def receive(self) -> bool:
        """Read what is there, up to the end of the request; false when the client has closed.

        Raises:
            HeadRefusedError: from the gathering.
            OSError: the connection or its TLS is broken.
        """
        try:
            if self._shaking:
                self.socket.do_handshake()  # type: ignore[attr-defined]
                self._shaking = False
            return self._read()
        except _WAITS:
            return True

    def _read(self) -> bool:
        self.request.add(b"")
        # A plain socket tells again that more is there; TLS may hold it back, so it is emptied.
        most = None if isinstance(self.socket, ssl.SSLSocket) else _MOST_AT_ONCE
        received = 0
        while not self.request.complete and (most is None or received < most):
            piece = self.socket.recv(_PIECE)
            if not piece:
                return False
            received += len(piece)
            self.request.add(piece)
            if self.request.expects:
                self.request.expects = False
                self.sock.send(_CONTINUE)
                self.sock.flush()
        return True

    def throw_away(self) -> bool:
        """Read and forget; false when the client has closed.

        Raises:
            OSError: the connection is broken.
        """
        for _ in range(4):
            try:
                if not self.socket.recv(_PIECE):
                    return False
            except _WAITS:
                return True
        return True

    def end_writing(self) -> None:
        """Say that nothing more comes."""
        # The client may have gone first.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it."""
        self.phase = Phase.CLOSED
        self.socket.close()
