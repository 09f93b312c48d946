"""A complete request is given to the application and its answer written: plain ones here, the others by gunicorn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser

from ingest_api.connection import Connection
from ingest_api.plain import PlainAnswer, PlainRequests


class Serving:
    """Serves what a connection has gathered.

    Args:
        configuration: gunicorn's.
        more: what every environment holds besides.
    """

    def __init__(self, configuration: Any, more: Mapping[str, Any]) -> None:
        self._configuration = configuration
        self._more = more
        self._plain = PlainRequests(configuration, more)

    def serve(self, connection: Connection, application: Any, is_last: Callable[[], bool]) -> bool:
        """Write the answer into the connection's buffer; whether the connection may be used again.

        Raises:
            Exception: what the parser refuses, or what broke.
        """
        whole = connection.request.whole
        head, body = connection.request.take()
        if whole:
            environ = self._plain.environ(head, body, connection.client, connection.server)
            if environ is not None:
                return self._plainly(connection, application, environ, is_last)
        request = next(RequestParser(self._configuration, iter((head, body)), connection.client))
        if not whole or is_last():
            request.force_close()
        return self._by_gunicorn(connection, application, request)

    def _plainly(
        self, connection: Connection, application: Any, environ: dict[str, Any], is_last: Callable[[], bool]
    ) -> bool:
        answer = PlainAnswer()
        pieces = application(environ, answer.start_response)
        try:
            body = b"".join(pieces)
        finally:
            _close(pieces)
        keep = not is_last()
        connection.sock.send(answer.render(body, keep=keep))
        return keep

    def _by_gunicorn(self, connection: Connection, application: Any, request: Any) -> bool:
        response, environ = wsgi.create(
            request, connection.sock, connection.client, connection.server, self._configuration
        )
        environ.update(self._more)
        pieces = application(environ, response.start_response)
        try:
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            _close(pieces)
        return not response.should_close()


def _close(pieces: Any) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
