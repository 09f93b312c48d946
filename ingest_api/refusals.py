"""What the server answers by itself: requests that are refused before the application sees them, always in JSON."""

from __future__ import annotations

import orjson
from gunicorn.http import errors as http_errors

from ingest_api.answers import error_body
from ingest_api.gathering import HeadRefusedError

_REASONS = {
    400: "Bad Request", 408: "Request Timeout", 411: "Length Required", 414: "URI Too Long",
    417: "Expectation Failed", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented",
}  # fmt: skip


def refusal(status: int, code: str, sentence: str) -> bytes:
    """The bytes of the answer; the connection is closed after it."""
    body = orjson.dumps(error_body(code, sentence))
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def late(code: str, what: str, seconds: float) -> HeadRefusedError:
    """Who has not sent all of this within its time."""
    return HeadRefusedError(408, code, f"The {what} must arrive within {seconds:g} seconds.")


def meaning(error: BaseException) -> tuple[int, str, str]:
    """Status, code and sentence for what gunicorn\'s parser raised, or for what broke."""
    if isinstance(error, http_errors.LimitRequestLine):
        return 414, "uri_too_long", "The request line is too long."
    if isinstance(error, http_errors.LimitRequestHeaders):
        return 431, "header_too_large", "There are too many headers, or one is too long."
    if isinstance(error, http_errors.UnsupportedTransferCoding):
        return 501, "unknown_coding", "That transfer coding is not known here."
    if isinstance(error, http_errors.ExpectationFailed):
        return 417, "expectation_failed", "That expectation cannot be met."
    broken = isinstance(error, http_errors.ParseException | http_errors.NoMoreData | StopIteration)
    answered = isinstance(error, http_errors.InvalidResponseHeader | http_errors.InvalidResponseHeaderName)
    if broken and not answered:
        return 400, "bad_request", "This is not HTTP as it is spoken here."
    return 500, "internal", "Something went wrong here."
