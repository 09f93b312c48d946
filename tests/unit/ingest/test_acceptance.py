"""Quick acceptance: it may say "not known" to anything, but what it says yes to is exactly what the schema allows."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.acceptance import Acceptance, Accepted
from ingest_api.document import Reader
from ingest_api.judging import Judge
from ingest_api.kinds import SHIPPED, Kind, load_kinds
from ingest_api.screen import make_scanner
from tests.integration.ingest.samples import action, structure, task
from tests.integration.ingest.test_mutated_requests import mutate

KINDS = load_kinds([SHIPPED])
QUICK = ["action_logs", "installation_structure"]
ACCEPTANCES = {name: Acceptance(KINDS[name]) for name in QUICK}
JUDGES = {name: Judge(KINDS[name]) for name in QUICK}
VALIDATORS = {name: jsonschema.Draft4Validator(dict(KINDS[name].schema)) for name in QUICK}
READER = Reader(make_scanner(), 5000)
#: texts of values that parsers, schemas and languages see differently, put in the place of some value of a record
ODD_TEXTS = ["1.0", "1.5", "1e0", "1E400", "-0", "-0.0", "true", "null", "01", "+1", "1.", ".5", "NaN", "Infinity",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "123456789012345678901", "0.1234567890123456789",
    '""', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\q"', '"\\u00zz"', '"\x01"', '"\t"',
    '"a\nb"', '"http_request"', '"nailgun_task"', "[]", "{}", '[{"a":[]}]', "[1,]", '{"a":1,}', "//", "'x'", "\x00",
    "[" * 99 + "]" * 99, '{"a":' * 2000 + "1" + "}" * 2000, '"' + "u" * 255 + '"', '"' + "\U0001f600" * 255 + '"',
    '"' + "\U0001f600" * 256 + '"', '"' + "u" * 256 + '"', '"\xff"']  # fmt: skip


def accepted(kind: Kind, body: bytes) -> Accepted | None:
    """What the collector's first look says."""
    if not READER.is_plain(body, READER.scan(body)):
        return None
    return ACCEPTANCES[kind.name].accept(body)


def check(kind: Kind, body: bytes) -> bool:
    """Compare with the standard library and jsonschema; says whether the body was accepted."""
    found = accepted(kind, body)
    if found is None:
        return False
    content = json.loads(body.decode("utf-8"), parse_constant=pytest.fail)
    assert list(content) == [kind.envelope]
    records = content[kind.envelope] if kind.many else [content[kind.envelope]]
    assert all(VALIDATORS[kind.name].is_valid(record) for record in records), body
    document = READER.read(body, kind.envelope, many=kind.many)
    assert not document.poison
    assert found.count == len(records)
    assert found.uids == {record[kind.uid] for record in records}
    assert found.ids == ([record[kind.id] for record in records] if kind.many else [])
    assert not any(type(number) is not int for number in found.ids)
    unfinished = JUDGES[kind.name].unfinished
    assert found.skipped == [place for place, record in enumerate(records) if unfinished(record)]
    return True


def records_of(kind: Kind, dice: random.Random) -> list[Any]:
    """A few good records."""
    uid = dice.choice(["node", "Ж", "\U0001f600"])
    if not kind.many:
        return [structure(uid)]
    makers = [
        lambda n: action(uid, n),
        lambda n: task(uid, n, None),
        lambda n: task(uid, n, "2026-11-23 17:01:40"),
    ]
    return [dice.choice(makers)(number) for number in range(dice.randrange(4))]


def text_of(kind: Kind, records: list[Any], dice: random.Random) -> str:
    """The body, in one of the ways to write the same JSON."""
    content = records if kind.many else records[0]
    return json.dumps(
        {kind.envelope: content}, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, None, 1])
    )


@pytest.mark.parametrize("name", QUICK)
def test_what_is_accepted_of_mutated_records_matches_the_schema_exactly(name: str) -> None:
    """Members deleted, replaced by strange values, added: a yes is always jsonschema's yes, with the same columns."""
    kind, dice = KINDS[name], random.Random(f"quick {name}")
    said_yes = 0
    for _ in range(1500):
        records = records_of(kind, dice)
        while dice.random() < 0.5 and records:
            place = dice.randrange(len(records))
            records[place] = mutate(records[place], dice)
        said_yes += check(kind, text_of(kind, records, dice).encode())
    assert 500 < said_yes < 1450


@pytest.mark.parametrize("name", QUICK)
def test_what_is_accepted_of_odd_texts_is_json_that_every_later_step_can_hold(name: str) -> None:
    """Texts in the place of values, members named twice, broken UTF-8: a yes is never given to what is refused."""
    kind, dice = KINDS[name], random.Random(f"odd {name}")
    said_yes = 0
    for number in range(2000):
        records = records_of(kind, dice) or [action("node", 1)]
        text = text_of(kind, records, dice)
        odd = ODD_TEXTS[number % len(ODD_TEXTS)]
        # A place behind a colon, where a value begins: the odd text comes instead of it, or as an earlier twin of it.
        start = dice.choice(
            [place for place, sign in enumerate(text) if sign == ":" and text[place - 1] == '"']
        )
        end = next((place for place in range(start, len(text)) if text[place] in ",}]"), len(text))
        member = text[text.rindex('"', 0, start - 1) : start]
        twin = dice.random() < 0.4
        instead = f":{odd},{member}{text[start:end]}" if twin else f":{odd}"
        body = (text[:start] + instead + text[end:]).encode(
            "latin-1" if "\xff" in odd else "utf-8", "replace"
        )
        said_yes += check(kind, body)
    assert said_yes > 150


def test_good_requests_are_accepted_and_not_sent_the_long_way() -> None:
    """Every example of the wire contract that passes is accepted at once, where the kind's schema was compiled."""
    compiled = {name for name, kind in KINDS.items() if Acceptance(kind).compiled}
    assert compiled == set(QUICK)
    for name in QUICK:
        for path in KINDS[name].examples("pass"):
            assert check(KINDS[name], path.read_bytes()), path


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "pattern": "^a"},
        {"type": "string", "format": "date"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "array", "uniqueItems": True},
        {"type": "object", "patternProperties": {"a": {}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        {"enum": ["a", 1]},
        {"not": {"type": "string"}},
        {"properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {}, "additionalProperties": False, "required": ["a"]},
        {"$ref": "#"},
        {"oneOf": [{"type": "string"}, {"type": "null"}]},
    ],
)
def test_a_schema_that_is_not_understood_is_left_to_the_validators(part: dict[str, Any]) -> None:
    """One part that the compiler does not know for certain, and the kind is judged the careful way only."""
    kind = KINDS["installation_structure"]
    schema = {**kind.schema, "properties": {**kind.schema["properties"], "more": part}}
    acceptance = Acceptance(dataclasses.replace(kind, schema=schema))
    assert not acceptance.compiled
    assert acceptance.accept(json.dumps({kind.envelope: structure("node")}).encode()) is None


TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]
SHORT = st.integers(0, 3)
NAMES = st.sampled_from(["a", "b", "class", "x y"])
REQUIRED = st.lists(st.sampled_from(["a", "b", "z"]), min_size=1, unique=True)
SCHEMAS = st.recursive(
    st.just({})
    | st.builds(lambda name: {"type": name}, st.sampled_from(TYPES))
    | st.builds(lambda names: {"type": names}, st.lists(st.sampled_from(TYPES), min_size=1, unique=True))
    | st.builds(lambda low, high: {"type": "string", "minLength": low, "maxLength": high}, SHORT, SHORT)
    | st.builds(lambda low, high: {"type": "integer", "minimum": low, "maximum": high}, SHORT, SHORT)
    | st.builds(lambda values: {"enum": values}, REQUIRED),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner)},
            optional={"required": REQUIRED, "additionalProperties": st.booleans()},
        )
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-4, 4)
    | st.sampled_from([1.0, 1.5, "", "a", "b", "\U0001f600", "abcd"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "class", "x y", "z", "q"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=6))
def test_any_schema_that_is_compiled_accepts_nothing_that_jsonschema_refuses(
    schema: Any, values: list[Any]
) -> None:
    """Random schemas of the keywords that are understood, random values: a yes is always jsonschema's yes."""
    whole = {
        "type": "object",
        "properties": {"uid": {"type": "string"}, "id": {"type": "integer"}, "value": schema},
        "required": ["uid", "id", "value"],
    }
    kind = dataclasses.replace(
        KINDS["action_logs"], schema=whole, uid="uid", id="id", unfinished={}, envelope="things"
    )
    acceptance, validator = Acceptance(kind), jsonschema.Draft4Validator(whole)
    for value in values:
        record = {"uid": "u", "id": 1, "value": value}
        if acceptance.accept(json.dumps({"things": [record]}).encode()) is not None:
            assert validator.is_valid(record)
