"""Where a request's CPU goes: the application in this process, its steps timed by the thread's own CPU clock."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.ingest import load
from fuel_stat.settings import from_env
from ingest_api import intake, landing
from ingest_api.acceptance import Acceptance
from ingest_api.allocator import keep_memory
from ingest_api.app import create_app
from ingest_api.document import Reader
from ingest_api.judging import Judge
from ingest_api.kind_resource import KindResource
from ingest_api.limits import Limits
from ingest_api.prepared import Session
from ingest_api.redaction import Redactor
from ingest_api.settings import Settings
from ingest_api.store import Store

#: step -> what does it
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "screen, nesting": ((Reader, "scan"), (Reader, "is_plain")),
    "read and check": ((Acceptance, "accept"), (Reader, "read"), (Judge, "refusals")),
    "redact": ((Redactor, "redact"),),
    "compress": ((intake, "compress"), (landing, "compress")),
    "statement's values": ((Store, "_land"),),
    "exchange with Postgres": ((Session, "rows"),),
    "quotas, identity": ((Limits, "take_request"), (Limits, "take_nodes")),
    "metrics": ((KindResource, "_count"),),
}
REST = "the rest: HTTP objects, keys, answer, log"


class _Clock:
    """CPU of this thread, by the step that is innermost."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = {}
        self._open = [REST]
        self._since = time.thread_time_ns()

    def switch(self, step: str | None) -> None:
        """Book what has passed and enter a step, or with None leave the innermost."""
        now = time.thread_time_ns()
        current = self._open[-1]
        self.spent[current] = self.spent.get(current, 0) + now - self._since
        if step is None:
            self._open.pop()
        else:
            self._open.append(step)
        self._since = time.thread_time_ns()


def _timed(function: Callable[..., Any], step: str, clock: _Clock) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        clock.switch(step)
        try:
            return function(*arguments, **named)
        finally:
            clock.switch(None)

    return timed


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    kept = [
        (owner, name, getattr(owner, name), step) for step, doers in STEPS.items() for owner, name in doers
    ]
    try:
        for owner, name, function, step in kept:
            setattr(owner, name, _timed(function, step, clock))
        yield
    finally:
        for owner, name, function, _ in kept:
            setattr(owner, name, function)


@contextmanager
def _quiet() -> Iterator[None]:
    """The access log is written, but not onto the page."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _environ(request: load.Request) -> dict[str, Any]:
    kind, uid, body = request
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": f"/api/v1/{kind}/", "RAW_URI": f"/api/v1/{kind}/", "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1",
        "HTTP_MASTER_NODE_UID": uid, "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr,
        "REMOTE_ADDR": "127.0.0.1", "SCRIPT_NAME": "",
    }  # fmt: skip


class InProcess:
    """The application without a server around it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._app = create_app(from_env(Settings, environ))
        # As in a worker, see ingest_api.gunicorn_conf.
        keep_memory()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    def run(self, requests: Sequence[load.Request]) -> dict[str, float]:
        """Milliseconds of CPU a request, by step.

        Raises:
            SystemExit: a request was refused.
        """
        statuses: list[str] = []

        def start(status: str, _headers: Any, _error: Any = None) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda _: None

        environs = [_environ(request) for request in requests]
        clock = _Clock()
        with _quiet(), _watched(clock):
            clock.switch(REST)
            clock.spent.clear()
            for environ in environs:
                b"".join(self._app(environ, start))
            clock.switch(None)
        if not all(status.startswith("20") for status in statuses):
            raise SystemExit(f"an answer was {sorted(set(statuses))}")
        return {step: spent / 1e6 / len(requests) for step, spent in clock.spent.items()}
