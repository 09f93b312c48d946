"""Plain requests: whatever is accepted means exactly what gunicorn's own parser makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.plain import PlainAnswer, PlainRequests

CLIENT, SERVER = ("192.0.2.7", 40_000), ("127.0.0.1", 8001)
BODY = b'{"a": 1}'
HEAD = (
    b"POST /api/v1/action_logs/ HTTP/1.1\r\nHost: collector.example:8001\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\nUser-Agent: python-requests/2.11.1\r\nConnection: keep-alive\r\ncontent-type: application/json\r\n"
    b"master-node-uid: 3a1b\r\nContent-Length: 8\r\n\r\n"
)
CONFIGURATION = Config()
CONFIGURATION.set("forwarded_allow_ips", "")
CONFIGURATION.set("accesslog", None)
#: made for each request, or of no meaning to the application
OWN = {"wsgi.input", "wsgi.errors", "gunicorn.socket", "wsgi.early_hints"}


class _Nowhere:
    def sendall(self, _: bytes) -> None:
        """Somebody wants to go on."""


def _plain(head: bytes, **settings: Any) -> dict[str, Any] | None:
    configuration = Config()
    for name, value in settings.items():
        configuration.set(name, value)
    return PlainRequests(configuration, {}).environ(head, BODY, CLIENT, SERVER)


def _of_gunicorn(head: bytes) -> dict[str, Any]:
    request = next(RequestParser(CONFIGURATION, iter((head, BODY)), CLIENT))
    _, environ = wsgi.create(request, _Nowhere(), CLIENT, SERVER, CONFIGURATION)
    assert not request.should_close()
    environ["body"] = environ["wsgi.input"].read()
    return {name: value for name, value in environ.items() if name not in OWN}


def _same(head: bytes) -> bool:
    """Whether the head is plain; then gunicorn must make the same of it."""
    environ = _plain(head)
    if environ is None:
        return False
    environ["body"] = environ["wsgi.input"].read()
    assert {name: value for name, value in environ.items() if name not in OWN} == _of_gunicorn(head)
    return True


def test_a_nodes_request_is_plain() -> None:
    """What a node in the field sends is read here, with the same meaning."""
    assert _same(HEAD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"POST", b"PUT"),
        (b"POST", b"post"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/api/v1/action_logs/", b"/api/v1/action_logs/?x=1"),
        (b"/api/v1/action_logs/", b"/api/v1/action%5Flogs/"),
        (b"/api/v1/action_logs/", b"http://collector.example/api/v1/action_logs/"),
        (b"keep-alive", b"close"),
        (b"keep-alive", b"upgrade"),
        (b"Accept: */*\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Accept: */*\r\n", b"Expect: 100-continue\r\n"),
        (b"Accept: */*\r\n", b"Content-Length: 8\r\n"),
        (b"Accept: */*\r\n", b"Master-Node-Uid: other\r\n"),
        (b"Accept: */*\r\n", b"Master_Node_Uid: other\r\n"),
        (b"Accept: */*\r\n", b"Accept: */*\r\n and more\r\n"),
        (b"Accept: */*\r\n", b"Accept : */*\r\n"),
        (b"Accept: */*\r\n", b"Accept: \xff\r\n"),
        (b"Accept: */*\r\n", b"Accept: a\tb\r\n"),
        (b"Accept: */*\r\n", b"Accept: */*\n"),
        (b"Content-Length: 8", b"Content-Length: 9"),
        (b"Content-Length: 8", b"Content-Length: +8"),
        (b"Content-Length: 8", b"Content-Length: 8, 8"),
        (b"Content-Length: 8\r\n", b""),
        (b"Host", b""),
    ],
)
def test_what_is_uncommon_is_for_gunicorn(before: bytes, after: bytes) -> None:
    """Anything that changes framing, meaning or the connection, and anything wrong, is not read here."""
    assert before in HEAD
    assert _plain(HEAD.replace(before, after)) is None


def test_gunicorns_limits_hold() -> None:
    """Too many or too long headers are gunicorn's to refuse."""
    assert _plain(HEAD, limit_request_fields=8) is not None
    assert _plain(HEAD, limit_request_fields=7) is None
    long = HEAD.replace(b"*/*", b"x" * 8186)
    assert _plain(long) is None
    assert _plain(HEAD.replace(b"action_logs", b"a" * 4094)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, len(HEAD) - 1), st.integers(0, 3), st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    )
)
@example([(13, 0, b"%")])
@example([(14, 1, b"\r\nA: b\r\n")])
def test_whatever_is_accepted_means_what_gunicorn_makes_of_it(changes: list[tuple[int, int, bytes]]) -> None:
    """Heads that were changed at random: refused here, or the same to both."""
    head = HEAD
    for place, length, piece in changes:
        head = head[:place] + piece + head[place + length :]
    try:
        _same(head)
    except ParseException as error:
        pytest.fail(f"gunicorn refuses what was accepted: {head!r}: {error!r}")


def test_an_answer_has_gunicorns_headers() -> None:
    """Status, server, date, connection, the application's headers, and a length when it gave none."""
    answer = PlainAnswer()
    answer.start_response("201 Created", [("Content-Type", "application/json"), ("X-Request-Id", "abc")])
    head, _, body = answer.render(b"{}", keep=False).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 201 Created"
    assert body == b"{}"
    assert {"Server: gunicorn", "Connection: close", "X-Request-Id: abc", "Content-Length: 2"} <= set(lines)
    assert any(line.startswith("Date: ") and line.endswith(" GMT") for line in lines)


def test_an_answer_is_not_split() -> None:
    """A header that would begin another answer is refused."""
    answer = PlainAnswer()
    answer.start_response("200 OK", [("X-Request-Id", "a\r\nSet-Cookie: b")])
    with pytest.raises(ValueError, match="control character"):
        answer.render(b"", keep=True)
