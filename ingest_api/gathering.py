"""Gathering the bytes of one HTTP request, so that no thread is busy with a client that has not sent it all yet.

Only the framing is understood here: where the head ends and how long the body is. What the head says is read, and
refused, by gunicorn's own parser, once all of it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest_api.errors import IngestError

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9]{1,18}[ \t]*\Z")


class HeadRefusedError(IngestError):
    """What can be said before the request is understood; after it the connection is closed.

    ``header_too_large`` (431), ``length_required`` (411), ``slow_header`` and ``slow_body`` (408).
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Bounds:
    """The longest head and the longest body that are gathered, in bytes."""

    head: int
    body: int


class Gathering:
    """What has arrived of a connection's next request.

    Attributes:
        data: what was received and not yet taken.
        length: of head and body, once the head is complete.
        whole: false when the body is longer than is gathered: the head alone is handed on, to be refused.
        expects: the client waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = ("_bounds", "_head", "_looked", "data", "expects", "length", "whole")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.data = bytearray()
        self._begin()

    def _begin(self) -> None:
        self._looked = 0
        self._head = 0
        self.length: int | None = None
        self.whole = True
        self.expects = False

    @property
    def complete(self) -> bool:
        """Whether a request can be taken."""
        return self.length is not None and len(self.data) >= self.length

    def add(self, data: bytes) -> None:
        """Take in what was received (nothing, to look at what is already there).

        Raises:
            HeadRefusedError: the head is too long, or a body comes without its length.
        """
        self.data += data
        if self.length is None:
            self._look()

    def take(self) -> tuple[bytes, bytes]:
        """Head and body of the complete request; what follows is looked at with the next ``add``."""
        with memoryview(self.data) as data:
            head, body = bytes(data[: self._head]), bytes(data[self._head : self.length])
        del self.data[: self.length]
        self._begin()
        return head, body

    def _look(self) -> None:
        # An empty line before a request is allowed, and no request.
        while self.data.startswith(b"\r\n"):
            del self.data[:2]
        end = self.data.find(_END, max(0, self._looked - 3))
        self._looked = len(self.data)
        if (end if end >= 0 else len(self.data)) > self._bounds.head:
            sentence = f"The request line and headers may have at most {self._bounds.head} bytes together."
            raise HeadRefusedError(431, "header_too_large", sentence)
        if end >= 0:
            self._measure(bytes(self.data[: end + 2]), end + len(_END))

    def _measure(self, head: bytes, size: int) -> None:
        if _CODED.search(head):
            raise HeadRefusedError(411, "length_required", "A body needs a Content-Length.")
        lengths = _LENGTH.findall(head)
        # Two lengths, or one that is no number: the parser refuses the head and the connection is closed.
        body = int(lengths[0]) if len(lengths) == 1 and _DIGITS.match(lengths[0]) else 0
        self.whole = body <= self._bounds.body and (not lengths or bool(_DIGITS.match(lengths[0])))
        self._head = size
        self.length = size + (body if self.whole else 0)
        self.expects = self.whole and len(self.data) < self.length and bool(_EXPECTS.search(head))
