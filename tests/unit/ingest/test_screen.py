"""The screen's flags: the quick way to notice numbers finds exactly what their rule says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.screen import HyperscanScanner, Odd, Re2Scanner

QUICK, PLAIN = HyperscanScanner(), Re2Scanner()
_pieces = st.sampled_from([*'1.0 ,}e:a"\n', "12345678", "0000", "E+", "e-", '"password": "']).map(str.encode)


@given(st.lists(_pieces, max_size=40).map(b"".join))
@example(b"1e12345,")
@example(b"1e12345")
@example(b"1e1234]")
@example(b"1e12345678901234567890 ")
@example(b"1234567890123456")
@example(b"1234567890123456}")
@example(b"12345678901234567,")
@example(b"1.e5,")
def test_numbers_are_noticed_exactly(text: bytes) -> None:
    """Long digits and exponents of any length, before what ends a number, and nothing else: as the plain rule."""
    assert QUICK.scan(text) == PLAIN.scan(text)


@pytest.mark.parametrize("end", [b'"', b","])
def test_texts_full_of_digits_are_scanned_by_the_whole_rule(end: bytes) -> None:
    """Where thousands of places look like long numbers each is not looked at, and the outcome is the same."""
    text = b'{"mac": "' + b"7" * 100_000 + end
    marks = QUICK.scan(text)
    assert marks == PLAIN.scan(text)
    assert bool(marks.odd & Odd.NUMBER) == (end == b",")
