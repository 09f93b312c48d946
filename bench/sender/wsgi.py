"""The host of the sender's bench: one small application, and the ways to record it. MODE says which.

The outermost layer times each modifying request inside the server, from the call to the closed body, by the clock and
by the CPU that its thread used, and hands the times out at GET /times; so neither the client nor the network is in the
figures.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Iterable
from time import perf_counter, thread_time
from typing import Any

from nailgun_sender.ledger import new_session
from nailgun_sender.observation import Request
from nailgun_sender.rows import RowMaker
from nailgun_sender.store import Store
from nailgun_sender.store.upsert import insert_or_ignore
from nailgun_sender.urlmap import UrlMap

from nailgun_sender import Recorder, RecordingMiddleware, Settings

MODE = os.environ["MODE"]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A modest piece of work: read a cluster's settings as JSON, answer them back sorted."""
    given = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
    answer = json.dumps(given, sort_keys=True).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


class InTheRequest:
    """The original's way: the record is written and committed before the answer is given."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._store: Store | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._store is None:
            self._store = Store.open(Settings.from_env())
            self._rows = RowMaker(UrlMap(), b"key", True, new_session())
        seen = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_X_AUTH_TOKEN"))
        body = self._inner(environ, start_response)
        seen.status, seen.ended = "200 OK", seen.start.steady
        row = self._rows.request(seen)
        with self._store.write() as connection:
            insert_or_ignore(connection, self._store.tables.actions, [row] if row else [])
        return body


class Timed:
    """Keeps the seconds that modifying requests took: by the clock, and of the thread's CPU."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._taken: list[tuple[float, float]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            answer = json.dumps(self._asked(environ["PATH_INFO"])).encode()
            start_response(
                "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
            )
            return [answer]
        cpu, began = thread_time(), perf_counter()
        body = self._inner(environ, start_response)
        self._taken.append((perf_counter() - began, thread_time() - cpu))
        return body

    def _asked(self, path: str) -> Any:
        if path == "/pid":
            return os.getpid()
        if path == "/kill-writer":
            return kill_writer()
        taken, self._taken = self._taken, []
        return taken


def kill_writer() -> int:
    """End the recorder's thread in the middle of whatever it does."""
    writers = [each for each in threading.enumerate() if each.name == "nailgun-sender"]
    for each in writers:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(each.ident or 0), ctypes.py_object(SystemExit)
        )
    return len(writers)


def _recorded() -> Any:
    return RecordingMiddleware(application, Recorder())


MAKE = {"bare": lambda: application, "recorded": _recorded, "original": lambda: InTheRequest(application)}
timed = Timed(MAKE[MODE]())
