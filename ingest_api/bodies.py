"""Reading a request's body: bounded in length and in time, inflated with a bound."""

from __future__ import annotations

import time
import zlib

import falcon

from ingest_api.errors import BodyTooLargeError, IngestError, SlowClientError, UnsupportedEncodingError
from ingest_api.watchdog import Watchdog

_watchdog = Watchdog()
_GZIP = 16 + zlib.MAX_WBITS


def read_body(req: falcon.Request, limit: int, seconds: float) -> bytes:
    """The body as sent.

    Raises:
        BodyTooLargeError: longer than ``limit``; nothing more is read then.
        SlowClientError: it took longer than ``seconds``.
        IngestError: ``cut_short`` when the client stopped before its Content-Length.
    """
    length = req.content_length
    if length is not None and length > limit:
        raise BodyTooLargeError("body_too_large", f"A body may have at most {limit} bytes.")
    stream = req.env["wsgi.input"]
    deadline = time.monotonic() + seconds
    wanted = length if length is not None else limit + 1
    try:
        with _watchdog.guard(req.env.get("gunicorn.socket"), seconds):
            body = bytes(stream.read(wanted))
    except OSError:
        body = b""
    size = len(body)
    if (length is None or size < length) and time.monotonic() > deadline:
        raise SlowClientError("slow_body", f"The body must arrive within {seconds:g} seconds.")
    if size > limit:
        raise BodyTooLargeError("body_too_large", f"A body may have at most {limit} bytes.")
    if length is not None and size < length:
        raise IngestError("cut_short", "The body is shorter than its Content-Length.")
    return body


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding; inflating stops at the limit.

    Raises:
        BodyTooLargeError, UnsupportedEncodingError.
        IngestError: ``bad_gzip``.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedEncodingError("unknown_encoding", "Only gzip is read as a Content-Encoding.")
    pieces: list[bytes] = []
    left = limit + 1
    while body and left > 0:
        inflater = zlib.decompressobj(_GZIP)
        try:
            piece = inflater.decompress(body, left)
        except zlib.error:
            raise IngestError(
                "bad_gzip", "The body is not gzip, although its Content-Encoding says so."
            ) from None
        pieces.append(piece)
        left -= len(piece)
        if left > 0 and not inflater.eof:
            raise IngestError("bad_gzip", "The gzip stream ends too early.")
        body = inflater.unused_data
    if left <= 0:
        raise BodyTooLargeError("body_too_large", f"A body may have at most {limit} bytes when inflated.")
    return b"".join(pieces)
