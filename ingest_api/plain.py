"""The requests that nodes send: a POST of HTTP/1.1 with nothing uncommon in its head.

Their heads are read by httptools (llhttp) and answered in one piece, which costs a third of what gunicorn's parser and
response take. It can only say yes: a head with anything else in it, and above all anything wrong, is for gunicorn.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import httptools
from gunicorn import util
from gunicorn.http.wsgi import SERVER, base_environ

_PATH = re.compile(rb"/[A-Za-z0-9/_.~-]*")
_NAME = re.compile(rb"[A-Za-z0-9-]+")
_VALUE = re.compile(rb"[\x20-\x7e]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_BROKEN = re.compile(r"[\x00-\x1f\x7f]")
#: headers that change what a request is, or how it is framed or answered
_UNCOMMON = frozenset(
    b"transfer-encoding expect upgrade trailer te http2-settings keep-alive proxy-connection".split()
)


class _Head:
    """What the parser tells."""

    __slots__ = ("headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


class PlainRequests:
    """Makes WSGI environments of plain requests.

    Args:
        configuration: gunicorn's.
        more: what else every environment holds.
    """

    def __init__(self, configuration: Any, more: Mapping[str, Any]) -> None:
        self._most_fields = configuration.limit_request_fields
        self._longest_field = configuration.limit_request_field_size
        self._longest_line = configuration.limit_request_line
        self._base = {
            **base_environ(configuration), "wsgi.url_scheme": "https" if configuration.is_ssl else "http",
            "REQUEST_METHOD": "POST", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "", **more,
        }  # fmt: skip

    def environ(self, head: bytes, body: bytes, client: Any, server: Any) -> dict[str, Any] | None:
        """The environment of a request that is kept alive; None when it is not plain."""
        told = _Head()
        parser = httptools.HttpRequestParser(told)
        try:
            parser.feed_data(head)
        except httptools.HttpParserError:
            return None
        url, headers = told.url, told.headers
        if (
            parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or not _PATH.fullmatch(url)
            or len(url) + 16 > self._longest_line
            or len(headers) > self._most_fields
            or not isinstance(client, tuple)
            or not isinstance(server, tuple)
        ):
            return None
        path = url.decode("ascii")
        environ = {
            **self._base, "wsgi.input": io.BytesIO(body), "RAW_URI": path, "PATH_INFO": path,
            "REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1]),
            "SERVER_NAME": server[0], "SERVER_PORT": str(server[1]),
        }  # fmt: skip
        return environ if self._add(environ, headers, len(body)) else None

    def _add(self, environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]], length: int) -> bool:
        measured = None
        for given, value in headers:
            name = given.lower()
            if (
                name in _UNCOMMON
                or (name == b"connection" and value.lower() != b"keep-alive")
                or not _NAME.fullmatch(name)
                or not _VALUE.fullmatch(value)
                or len(name) + len(value) + 4 > self._longest_field
            ):
                return False
            key = name.decode("ascii").upper().replace("-", "_")
            if name == b"content-length":
                measured = value
            elif name != b"content-type":
                key = "HTTP_" + key
            if key in environ:
                return False
            environ[key] = value.decode("ascii").strip(" ")
        return measured is not None and bool(_DIGITS.fullmatch(measured)) and int(measured) == length


class PlainAnswer:
    """What the application answers, in one piece."""

    __slots__ = ("_headers", "_status")

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """As in PEP 3333; the application writes nothing but what it returns."""
        self._status, self._headers = status, headers

    def render(self, body: bytes, *, keep: bool) -> bytes:
        """The bytes of the answer.

        Raises:
            ValueError: a header has a control character in it.
        """
        connection = "keep-alive" if keep else "close"
        lines = [
            f"HTTP/1.1 {self._status}",
            f"Server: {SERVER}",
            f"Date: {_date(int(time.time()))}",
            f"Connection: {connection}",
        ]
        measured = False
        for name, value in self._headers:
            measured = measured or name.lower() == "content-length"
            lines.append(f"{name}: {value}")
        if not measured:
            lines.append(f"Content-Length: {len(body)}")
        if any(_BROKEN.search(line) for line in lines):
            raise ValueError("a header with a control character")
        lines += ("", "")
        return "\r\n".join(lines).encode("latin-1") + body


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(util.http_date(second))
