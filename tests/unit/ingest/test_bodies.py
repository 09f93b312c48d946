"""Inflating with a bound: in bytes, and in work."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from ingest_api.bodies import inflate
from ingest_api.errors import BodyTooLargeError, IngestError

LIMIT = 65_536


def test_a_bomb_is_cut_while_it_is_inflated() -> None:
    """A hundred megabytes in a hundred kilobytes: refused with little more than the limit in memory."""
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        inflate(bomb, "gzip", LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_exactly_the_limit_is_taken_in_one_member_or_several() -> None:
    """The limit holds for all members together."""
    member = gzip.compress(b"x" * (LIMIT // 4))
    assert len(inflate(member * 4, "gzip", LIMIT)) == LIMIT
    with pytest.raises(BodyTooLargeError):
        inflate(member * 4 + gzip.compress(b"x"), "gzip", LIMIT)


def test_a_body_of_very_many_members_is_refused() -> None:
    """Each member costs a copy of what follows it: that is quadratic work, and no node sends more than one."""
    with pytest.raises(IngestError) as caught:
        inflate(gzip.compress(b"") * 100_000, "gzip", LIMIT)
    assert caught.value.code == "bad_gzip"


@pytest.mark.parametrize(
    "cut", [b"", b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-4]], ids=["nothing", "no gzip", "cut"]
)
def test_what_is_no_whole_gzip_is_refused(cut: bytes) -> None:
    """Nothing at all is an empty body; a cut or foreign stream is ``bad_gzip``."""
    if not cut:
        assert inflate(cut, "gzip", LIMIT) == b""
        return
    with pytest.raises(IngestError) as caught:
        inflate(cut, "gzip", LIMIT)
    assert caught.value.code == "bad_gzip"
