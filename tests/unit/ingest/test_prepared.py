"""Values of the hot path's statements are written as psycopg itself would write them."""

from __future__ import annotations

import pytest
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.numeric import Int2, Int4

from ingest_api import statements
from ingest_api.prepared import BYTEA_OID, TEXT_OID, Statement, array, int2, int4, numbers


def by_psycopg(value: object) -> bytes:
    """The value in the binary format."""
    dumped = Transformer().get_dumper(value, PyFormat.BINARY).dump(value)
    assert dumped is not None
    return bytes(dumped)


@pytest.mark.parametrize("value", [0, 1, -1, 32767, -32768])
def test_integers_are_written_in_their_width(value: int) -> None:
    """Two bytes and four, most significant first."""
    assert int2(value) == by_psycopg(Int2(value))
    assert int4(value) == by_psycopg(Int4(value))


@pytest.mark.parametrize("values", [["vm"], ["vm", "", "Ж\U0001f600", "a" * 300]])
def test_arrays_are_written_as_psycopg_writes_them(values: list[str]) -> None:
    """Texts and byte strings, empty and long ones among them."""
    encoded = [value.encode() for value in values]
    assert array(BYTEA_OID, encoded) == by_psycopg(encoded)
    assert array(TEXT_OID, encoded) == by_psycopg(values)


def test_numbers_are_an_array_literal() -> None:
    """As Postgres reads arrays in text; none at all is an empty array."""
    assert numbers([1, -2, 2**63 - 1]) == b"{1, -2, 9223372036854775807}"
    assert numbers(range(3)) == b"{0, 1, 2}"
    assert numbers([]) == b"{}"


def test_each_name_is_one_parameter_however_often_it_is_used() -> None:
    """Names become numbers, in the order of their first use."""
    statement = Statement("one", "select %(b)s::text, %(a)s::int, %(b)s::text")
    assert statement.text == b"select $1::text, $2::int, $1::text"
    assert statement.parameters == ("b", "a")
    assert len(statement.formats) == 2


def test_every_parameter_of_the_hot_path_is_cast() -> None:
    """Values are bytes: what the server takes them for is said by the statement, wherever a parameter is used first."""
    twins = (statements.BITMAP, statements.VERSION, statements.LATEST, statements.UNCHANGED)
    for statement in (statements.CONTACT, *(one for twin in twins for one in twin)):
        for number in range(1, len(statement.parameters) + 1):
            place = statement.text.index(b"$%d" % number) + len(b"$%d" % number)
            assert statement.text[place : place + 2] == b"::", (
                statement.name,
                statement.parameters[number - 1],
            )
