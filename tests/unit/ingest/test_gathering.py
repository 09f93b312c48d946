"""Where a request begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.gathering import Bounds, Gathering, HeadRefusedError

BOUNDS = Bounds(1000, 5000)


def post(body: bytes) -> bytes:
    """A request with this body."""
    return b"POST /x HTTP/1.1\r\nHost: y\r\ncontent-LENGTH: %d\r\n\r\n" % len(body) + body


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_however_the_bytes_arrive_the_requests_come_out(bodies: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, several in one piece, with empty lines between: each request comes out once, in order."""
    stream = b"\r\n".join(post(body) for body in bodies)
    gathering, taken, place = Gathering(BOUNDS), [], 0
    while place < len(stream) or gathering.complete:
        size = data.draw(st.integers(1, 400))
        gathering.add(stream[place : place + size])
        place += size
        while gathering.complete:
            taken.append(b"".join(gathering.take()))
            gathering.add(b"")
    assert taken == [post(body) for body in bodies]


def test_a_body_beyond_the_bound_is_not_gathered() -> None:
    """The head alone is handed on, and says that it is not the whole."""
    gathering = Gathering(BOUNDS)
    gathering.add(post(b"x" * 5001))
    assert (gathering.complete, gathering.whole) == (True, False)
    head, body = gathering.take()
    assert (head.endswith(b"\r\n\r\n"), body) == (True, b"")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /" + b"a" * 1000, 431, "header_too_large"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1000 + b"\r\n\r\n", 431, "header_too_large"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "length_required"),
    ],
)
def test_what_cannot_be_framed_is_refused(data: bytes, status: int, code: str) -> None:
    """Heads without end, and bodies without a length."""
    with pytest.raises(HeadRefusedError) as caught:
        Gathering(BOUNDS).add(data)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("lengths", [b"1\r\nContent-Length: 2", b"-1", b"1,1", b"", b"\xb2", b"9" * 30])
def test_a_length_that_means_nothing_is_left_to_the_parser(lengths: bytes) -> None:
    """Two lengths, or one that is no number, could be read in two ways: no byte of a body is taken with such a head."""
    gathering = Gathering(BOUNDS)
    gathering.add(b"POST / HTTP/1.1\r\nContent-Length: " + lengths + b"\r\n\r\n{}")
    assert gathering.take()[1] == b""
