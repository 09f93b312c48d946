"""A small host: an API of clusters, with each way a WSGI application may answer. With or without the recorder.

Environment: HOST_RECORDS=1 wraps it; the recorder reads its own FUEL_STAT_SENDER_* variables.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

CLUSTERS: dict[int, str] = {}


def _read(environ: dict[str, Any]) -> bytes:
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _stream(closed: list[str]) -> Iterator[bytes]:
    try:
        for number in range(5):
            yield f"line {number}\n".encode()
    finally:
        closed.append("closed")


def _kill_writer() -> int:
    writers = [each for each in threading.enumerate() if each.name == "nailgun-sender"]
    for each in writers:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(each.ident or 0), ctypes.py_object(SystemExit)
        )
    return len(writers)


CLOSED: list[str] = []


def host(environ: dict[str, Any], start_response: Any) -> Any:  # noqa: PLR0911
    """The API. Every branch answers in another of the ways that PEP 3333 allows."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    plain = [("Content-Type", "application/json"), ("X-Host", "kept")]
    if path == "/api/clusters/" and method == "POST":
        name = json.loads(_read(environ))["name"]
        CLUSTERS[1] = name
        start_response("201 Created", plain)
        return [json.dumps({"id": 1, "name": name}).encode()]
    if path == "/api/clusters/1/":
        if method == "DELETE":
            CLUSTERS.pop(1, None)
            start_response("204 No Content", [])
            return []
        start_response("200 OK", plain)
        return (json.dumps(CLUSTERS).encode(),)
    if path == "/api/clusters/1/changes/":
        start_response("202 Accepted", plain)
        return _stream(CLOSED)
    if path == "/api/clusters/1/attributes/":
        start_response("400 Bad Request", plain)
        return [b'{"message": "password=hunter2 ', b'is wrong"}']
    if path == "/api/releases/":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", "70000")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 70000), 8192)
    if path == "/api/settings/":
        start_response("200 OK", plain)(b"written ")
        return [b"and returned"]
    if path == "/api/tasks/":
        raise RuntimeError("the host's own mistake, token=abc123")
    if path == "/kill-writer":
        start_response("200 OK", plain)
        return [str(_kill_writer()).encode()]
    start_response("404 Not Found", plain)
    return [b"{}"]


application = host
if os.environ.get("HOST_RECORDS") == "1":
    from nailgun_sender import Recorder, RecordingMiddleware

    recorder = Recorder()
    application = RecordingMiddleware(host, recorder)
