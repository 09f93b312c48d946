"""Reading bodies record by record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api import careful
from ingest_api.careful import MAX_BYTES, MAX_DEPTH, nesting, read_carefully, too_deep
from ingest_api.errors import BrokenEnvelopeError, NotJsonError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, max_size=6), st.booleans(), st.sampled_from([None, 2]))
def test_good_lists_come_out_as_they_went_in(values: list[Any], ascii_only: bool, indent: int | None) -> None:
    """Cutting and joining loses nothing, whatever the records are."""
    text = json.dumps({"things": values}, ensure_ascii=ascii_only, indent=indent).encode()
    careful = read_carefully(text, "things", many=True)
    assert json.loads(careful.body) == {"things": values}
    assert careful.positions == list(range(len(values)))
    assert careful.poison == []


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=5), st.data())
def test_a_broken_text_is_never_taken_for_json(values: list[Any], data: st.DataObject) -> None:
    """Cut anywhere, the body is refused as a whole."""
    text = json.dumps({"things": values}).encode()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises((NotJsonError, BrokenEnvelopeError)):
        read_carefully(cut, "things", many=True)


@pytest.mark.parametrize("depth", [1, 10, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 5000])
@pytest.mark.parametrize("inside", ["", '"]"', '"[[[["', '"}{"', '"\\""'])
def test_depth_is_measured_exactly_with_brackets_in_texts(depth: int, inside: str) -> None:
    """The quick peel and the exact count agree at the limit."""
    text = ("[" * depth + inside + "]" * depth).encode()
    assert nesting(text) == depth
    assert too_deep(text) == (depth > MAX_DEPTH)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 500])
@pytest.mark.parametrize("text", ["]", "[", '"]', "\\]", '\\"]'])
def test_brackets_in_texts_do_not_hide_depth(depth: int, text: str) -> None:
    """Texts that would close each bracket, and open it again before its end, were they no texts."""
    again = text.translate(str.maketrans("[]", "]["))
    body = f"[{json.dumps(text)}," * depth + "1" + f",{json.dumps(again)}]" * depth
    assert json.loads(body)
    assert too_deep(body.encode()) == (depth > MAX_DEPTH)


_texts = st.text(alphabet='[]{}"\\ab', max_size=6)
_nested = st.recursive(
    _texts | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner)
)


@given(_nested)
def test_the_quick_look_at_depth_is_exact(value: object) -> None:
    """For any JSON, brackets, quotes and backslashes in its texts included, it says what counting the tokens says."""
    body = json.dumps(value).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(careful, "MAX_DEPTH", 3)
        patch.setattr(careful, "_deeper_than", lambda text, limit: True)
        assert careful.too_deep(body) == (nesting(body) > 3)


def test_records_are_counted_before_the_first_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging costs a hundred times counting: a flood of tiny records is refused at the bound, none is looked at."""
    monkeypatch.setattr(careful, "judge_text", lambda text: pytest.fail("a record was judged"))
    text = b'{"things":[' + b"1," * 200_000 + b"NaN]}"
    with pytest.raises(BrokenEnvelopeError) as caught:
        read_carefully(text, "things", many=True, most=10)
    assert caught.value.code == "too_many_records"


def test_a_long_body_is_not_mended() -> None:
    """Record by record is for what a node may send, not for megabytes of strange text."""
    with pytest.raises(BrokenEnvelopeError) as caught:
        read_carefully(b'{"things":[NaN' + b" " * MAX_BYTES + b"]}", "things", many=True)
    assert caught.value.code == "too_long_to_mend"


def test_looking_for_depth_stops_where_it_is_too_deep() -> None:
    """A million brackets are not all counted, in a record or in a body."""
    tokens = careful.depths(b"[" * 1_000_000)
    assert next(depth for depth in tokens if depth > MAX_DEPTH) == MAX_DEPTH + 1
    assert too_deep(b"[" * 1_000_000)
