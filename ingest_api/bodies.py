"""Reading a request's body: bounded in length, inflated with a bound."""

from __future__ import annotations

import zlib

import falcon

from ingest_api.errors import BodyTooLargeError, IngestError, UnsupportedEncodingError

_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 8


def read_body(req: falcon.Request, limit: int) -> bytes:
    """The body as sent. The server has gathered all of it before (``ingest_api.worker``), so nothing waits here.

    Raises:
        BodyTooLargeError: longer than ``limit``; nothing is read then.
        IngestError: ``cut_short`` when it is shorter than its Content-Length.
    """
    length = req.content_length or 0
    if length > limit:
        raise BodyTooLargeError("body_too_large", f"A body may have at most {limit} bytes.")
    body = bytes(req.env["wsgi.input"].read(length))
    if len(body) < length:
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
        # What follows a member is copied: many small ones would cost more than one large bomb.
        if len(pieces) >= _MOST_MEMBERS:
            raise IngestError("bad_gzip", f"A gzip body may have at most {_MOST_MEMBERS} members.")
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
