"""Expansion of landed requests: positions, envelopes, the uid, what jsonb cannot hold. No I/O."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import zstandard

from warehouse.errors import ExpansionError
from warehouse.expand import Landing, expand

KEY = uuid.UUID(int=7)


def landing(document: Any, *, uid: str = "node-uid-1", kind: str = "action_logs", records: int = 1, taken: Any = None,
            text: str | None = None) -> Landing:  # fmt: skip
    payload = zstandard.compress((json.dumps(document) if text is None else text).encode())
    return Landing(uuid.UUID(int=1).bytes, 0, uid, kind, 0, records, taken, payload)


def records_of(found: Landing) -> list[tuple[int, Any]]:
    return [(position, json.loads(text)) for position, text in expand(found, KEY)]


@pytest.mark.parametrize(
    ("document", "kind", "records"),
    [
        ([{"a": 1}, {"a": 2}], "action_logs", 2),
        ({"action_logs": [{"a": 1}, {"a": 2}]}, "action_logs", 2),
        ({"another_name": [{"a": 1}, {"a": 2}]}, "action_logs", 2),
        ({"clusters": [{"id": 1}], "n": 1}, "installation_structure", 1),
        ({"installation_structure": {"clusters": [{"id": 1}], "n": 1}}, "installation_structure", 1),
    ],
)
def test_a_list_an_envelope_and_a_bare_object_are_understood(document: Any, kind: str, records: int) -> None:
    """The landed document may be the list, its envelope, or the one object itself."""
    found = records_of(landing(document, kind=kind, records=records))
    if records == 2:
        assert found == [(0, {"a": 1}), (1, {"a": 2})]
    else:
        assert found == [(0, {"clusters": [{"id": 1}], "n": 1})]


def test_only_taken_positions_are_contributed() -> None:
    """``taken`` names positions; null means all."""
    document = [{"a": n} for n in range(5)]
    assert records_of(landing(document, records=5, taken=(4, 1))) == [(4, {"a": 4}), (1, {"a": 1})]


def test_a_short_uid_is_replaced_only_where_it_is_a_whole_string() -> None:
    """A uid like "7" would be found in every number."""
    found = records_of(landing([{"master_node_uid": "7", "n": 77, "t": "7", "u": "a7"}], uid="7"))
    assert found == [(0, {"n": 77, "t": str(KEY), "u": "a7"})]


def test_numbers_keep_their_digits() -> None:
    """Records stay the text that was landed: no float in between."""
    ((_, text),) = expand(landing(None, text='[{"n": {"x": 12345678901234567890123, "y": 1.10}}]'), KEY)
    assert b"12345678901234567890123" in text
    assert b"1.10" in text


@pytest.mark.parametrize("uid", ["node/ü-123456", 'quote"123456', "emoji-😀-12345"])
def test_every_escaped_form_of_the_uid_is_found(uid: str) -> None:
    """However the node escaped its uid, it does not get through."""
    for quoted in (json.dumps(uid), json.dumps(uid, ensure_ascii=False), json.dumps(uid).replace("/", "\\/")):
        inner = quoted[1:-1]
        ((_, text),) = expand(landing(None, uid=uid, text=f'[{{"t": "see {inner} there"}}]'), KEY)
        assert json.loads(text) == {"t": f"see {KEY} there"}


def test_what_jsonb_refuses_inside_strings_is_replaced() -> None:
    """NUL and lone surrogates become U+FFFD; an escaped backslash before a u is no escape."""
    ((_, text),) = expand(landing(None, text=r'[{"t": "a\u0000b\ud800c\\u0000d\ud83d\ude00"}]'), KEY)
    assert json.loads(text) == {"t": "a\ufffdb\ufffdc\\u0000d😀"}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Landing(b"\0" * 16, 0, "u", "k", 0, 1, None, b"no frame"), "bad_frame"),
        (landing(None, text="[1"), "bad_document"),
        (landing(None, text='[{"a": ' + "[" * 5000 + "]" * 5000 + "}]"), "bad_document"),
        (Landing(b"\0" * 16, 0, "u", "k", 0, 1, None, zstandard.compress(b"[1]")[:-1]), "bad_frame"),
        (landing({"a": [1], "b": [2]}, records=2), "bad_document"),
        (landing([{}], records=1, taken=(3,)), "position_out_of_range"),
    ],
)
def test_what_cannot_be_expanded_is_refused_with_a_code(found: Landing, code: str) -> None:
    """A broken or cut frame, a broken or bottomless document, no list, a position that is not there."""
    with pytest.raises(ExpansionError) as caught:
        list(expand(found, KEY))
    assert caught.value.code == code


def test_a_frame_that_does_not_say_its_size_is_read() -> None:
    """Streaming compressors leave the size out."""
    writer = zstandard.ZstdCompressor().compressobj()
    payload = writer.compress(b'[{"a": 1}]') + writer.flush()
    assert zstandard.frame_content_size(payload) == -1
    assert records_of(Landing(b"\0" * 16, 0, "node-uid-1", "k", 0, 1, None, payload)) == [(0, {"a": 1})]
