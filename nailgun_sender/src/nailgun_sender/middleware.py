"""The WSGI middleware: sees modifying requests pass, hands everything on untouched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from .observation import Request

if TYPE_CHECKING:
    from .recorder import Recorder

_Environ = dict[str, Any]
_StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApplication = Callable[[_Environ, _StartResponse], Iterable[bytes]]
Actor = Callable[[_Environ], "str | None"]

_FAILED = frozenset("45")
_SAID_MOST = 2048
MODIFYING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class RecordingMiddleware:
    """Wraps a WSGI application; records its POST, PUT, PATCH and DELETE requests.

    The response is the application's own: status, headers, ``write``, chunks, file wrappers and
    exceptions pass unchanged, and lists stay lists (servers look at their length). Should recording
    fail in any way, that is counted and the request goes on.

    ``actor`` tells who asks, from the request's environment; by default the user whom the host authenticated, else the
    credential that was sent. Only its keyed hash is kept.

    What runs at every request is written out in one place: after a pause each Python function called costs several
    microseconds, since nothing of it is in the processor's caches.
    """

    def __init__(self, application: WSGIApplication, recorder: Recorder, actor: Actor | None = None) -> None:
        self._application = application
        self._recorder = recorder
        self._actor = actor

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if environ.get("REQUEST_METHOD") not in MODIFYING:
            return self._application(environ, start_response)
        try:
            actor = self._actor
            request = Request(
                environ["REQUEST_METHOD"],
                environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
                environ.get("REMOTE_USER")
                or environ.get("HTTP_X_AUTH_TOKEN")
                or environ.get("HTTP_AUTHORIZATION")
                if actor is None
                else actor(environ),
            )
        except Exception:  # noqa: BLE001 - a bug of ours, or of the host's callback, is not a failed request
            self._recorder.note_bug()
            return self._application(environ, start_response)

        def started(status: str, headers: Any, *exc_info: Any, **named: Any) -> Callable[[bytes], object]:
            # What a host passes wrongly is the server's to refuse, in its own words: nothing here may trip over it.
            if type(status) is str:
                request.status = status
                if status[:1] in _FAILED:
                    self._make_room(request, headers)
            write = start_response(status, headers, *exc_info, **named)
            return self._noted_write(request, write) if request.room else write

        try:
            body = self._application(environ, started)
        except BaseException as error:
            self._finish(request, error)
            raise
        kind = type(body)
        if kind is list or kind is tuple:
            # whole already: noted here and returned as it is
            if request.room:
                self._note(request, body)
            self._finish(request)
            return body
        if hasattr(body, "__len__") or _is_file(body, environ):
            self._finish(request)
            return body
        return _Watched(self, request, body)

    def _make_room(self, request: Request, headers: Any) -> None:
        try:
            # an iterator, which servers take too, is the server's to consume
            request.room = self._recorder.error_room(headers) if isinstance(headers, (list, tuple)) else 0
        except Exception:  # noqa: BLE001 - the host sees its own mistakes, not ours
            self._recorder.note_bug()

    def _noted_write(self, request: Request, write: Callable[[bytes], object]) -> Callable[[bytes], object]:
        def noted(chunk: bytes) -> object:
            self._note(request, (chunk,))
            return write(chunk)

        return noted

    def _note(self, request: Request, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                request.note(chunk)
        except Exception:  # noqa: BLE001
            request.room = 0
            self._recorder.note_bug()

    def _finish(self, request: Request, error: BaseException | None = None) -> None:
        try:
            request.ended = monotonic()
            if error is not None and not isinstance(error, GeneratorExit):
                request.error_type = type(error).__name__
                request.error, request.cut = _said(error)
            self._recorder.offer(request)
        except Exception:  # noqa: BLE001
            self._recorder.note_bug()


class _Watched:
    """Put around a body that is made lazily: passes its chunks on, and sees when it is through."""

    __slots__ = ("_body", "_chunks", "_done", "_middleware", "_request")

    def __init__(self, middleware: RecordingMiddleware, request: Request, body: Iterable[bytes]) -> None:
        self._middleware = middleware
        self._request = request
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._done = False

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
        if self._request.room:
            self._middleware._note(self._request, (chunk,))
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

    def _finish(self, error: BaseException | None = None) -> None:
        if not self._done:
            self._done = True
            self._middleware._finish(self._request, error)


def _said(error: BaseException) -> tuple[str, bool]:
    """What an exception says, and whether that was cut off; how long a text it makes is the host's affair."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - one that cannot be printed still has a type
        return "", False
    return text[:_SAID_MOST], len(text) > _SAID_MOST


def _is_file(body: Iterable[bytes], environ: _Environ) -> bool:
    # Servers recognise their own file wrapper by class (gunicorn) or by identity (uWSGI, where it
    # is the file itself) and send it by the kernel: it must come back to them as it is.
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        return True
    return hasattr(body, "read")
