"""The WSGI middleware: sees modifying requests pass, hands everything on untouched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Union

from .observation import Request

if TYPE_CHECKING:
    from .recorder import Recorder

_ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]
_Environ = dict[str, Any]
_StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApplication = Callable[[_Environ, _StartResponse], Iterable[bytes]]
Actor = Callable[[_Environ], "str | None"]

MODIFYING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def default_actor(environ: _Environ) -> str | None:
    """Find who asks: the user the host authenticated, else the credential that was sent."""
    return environ.get("REMOTE_USER") or environ.get("HTTP_X_AUTH_TOKEN") or environ.get("HTTP_AUTHORIZATION")


class RecordingMiddleware:
    """Wraps a WSGI application; records its POST, PUT, PATCH and DELETE requests.

    The response is the application's own: status, headers, ``write``, chunks, file wrappers and
    exceptions pass unchanged, and lists stay lists (servers look at their length). Should recording
    fail in any way, that is counted and the request goes on.

    ``actor`` tells who asks, from the request's environment; only its keyed hash is kept.
    """

    def __init__(
        self, application: WSGIApplication, recorder: Recorder, actor: Actor = default_actor
    ) -> None:
        self._application = application
        self._recorder = recorder
        self._actor = actor

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if environ.get("REQUEST_METHOD") not in MODIFYING:
            return self._application(environ, start_response)
        seen = self._look(environ)
        if seen is None:
            return self._application(environ, start_response)
        return seen.run(self._application, environ, start_response)

    def _look(self, environ: _Environ) -> _Seen | None:
        try:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            request = Request(environ["REQUEST_METHOD"], path, self._actor(environ))
            return _Seen(self._recorder, request)
        except Exception:  # noqa: BLE001 - a bug of ours, or of the host's callback, is not a failed request
            self._recorder.note_bug()
            return None


class _Seen:
    """One request on its way through; also the iterator put around a lazily made body."""

    __slots__ = ("_body", "_chunks", "_done", "_recorder", "_request", "_room")

    def __init__(self, recorder: Recorder, request: Request) -> None:
        self._recorder = recorder
        self._request = request
        self._room = 0
        self._done = False

    def run(
        self, application: WSGIApplication, environ: _Environ, start_response: _StartResponse
    ) -> Iterable[bytes]:
        def started(status: str, headers: Any, *exc_info: _ExcInfo) -> Callable[[bytes], object]:
            self._note_start(status, headers)
            return start_response(status, headers, *exc_info)

        try:
            body = application(environ, started)
        except BaseException as error:
            self._finish(error)
            raise
        if _is_finished(body) or _is_file(body, environ):
            if self._room and isinstance(body, (list, tuple)):
                self._note_chunks(body)
            self._finish()
            return body
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self._finish(error)
            raise
        if self._room:
            self._note_chunks((chunk,))
        return chunk

    def close(self) -> None:
        """Close the application's body, as every WSGI server does at the end of a request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._finish(error)
            raise
        self._finish()

    def _note_start(self, status: str, headers: Any) -> None:
        try:
            self._request.status = status
            if status[:1] in "45":
                self._room = self._recorder.error_room(headers)
        except Exception:  # noqa: BLE001 - the host sees its own mistakes, not ours
            self._recorder.note_bug()

    def _note_chunks(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                if not self._room:
                    self._request.cut = True
                    return
                held = self._request.error
                part = bytes(chunk[: self._room])
                self._request.error = held + part if isinstance(held, bytes) else part
                self._room -= len(part)
                self._request.cut = len(part) < len(chunk)
        except Exception:  # noqa: BLE001
            self._room = 0
            self._recorder.note_bug()

    def _finish(self, error: BaseException | None = None) -> None:
        if self._done:
            return
        self._done = True
        try:
            self._request.ended = monotonic()
            if error is not None and not isinstance(error, GeneratorExit):
                self._request.error_type = type(error).__name__
                self._request.error = str(error)
            self._recorder.offer(self._request)
        except Exception:  # noqa: BLE001
            self._recorder.note_bug()


def _is_finished(body: Iterable[bytes]) -> bool:
    return isinstance(body, (list, tuple)) or hasattr(body, "__len__")


def _is_file(body: Iterable[bytes], environ: _Environ) -> bool:
    # Servers recognise their own file wrapper by class (gunicorn) or by identity (uWSGI, where it
    # is the file itself) and send it by the kernel: it must come back to them as it is.
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        return True
    return hasattr(body, "read")
