"""Streaming landings into raw, and what to do with a record that jsonb cannot hold.

The fast way checks nothing: Postgres refuses what it cannot store. Only then the same landings go the careful way:
each record is tried, and one that cannot be stored leaves a marked row instead, so that every count stays right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, TypeVar

import psycopg

from warehouse.errors import ExpansionError
from warehouse.expand import Landing, expand, unreadable
from warehouse.load import Pseudonyms, RecordCopy

T = TypeVar("T")
Checker = psycopg.Connection[Any] | None
# Data exceptions (22) and limits of the server such as the depth of its stack (54).
_REFUSALS = ("22", "54")


def tolerantly(connection: psycopg.Connection[Any], warehouse_dsn: str, work: Callable[[Checker], T]) -> T:
    """Do the work in a transaction, the fast way; if a record is refused, again from the start the careful way.

    Args:
        work: is called with None, and the second time with a connection to try records on.
    """
    try:
        with connection.transaction():
            return work(None)
    except (psycopg.DataError, psycopg.OperationalError, ExpansionError) as error:
        if not isinstance(error, ExpansionError) and (error.sqlstate or "")[:2] not in _REFUSALS:
            raise
    with (
        psycopg.connect(warehouse_dsn, autocommit=True, application_name="fuel-stat check") as checker,
        connection.transaction(),
    ):
        return work(checker)


def copy_landings(copy: RecordCopy, landings: Generator[Landing, None, None], checker: Checker) -> int:
    """Stream all records of the landings; returns how many had to be marked as unreadable."""
    marked = 0
    with closing(landings):
        for landing in landings:
            if checker is None:
                copy.write(landing)
                continue
            records = list(_checked(landing, copy.pseudonyms, checker))
            marked += sum(1 for _, _, bad in records if bad)
            copy.write_records(landing, [(position, text) for position, text, _ in records])
    return marked


def _checked(
    landing: Landing, pseudonyms: Pseudonyms, checker: psycopg.Connection[Any]
) -> Iterator[tuple[int, bytes, bool]]:
    """Position, text, and whether the text stands in for a record that cannot be stored."""
    try:
        records = list(expand(landing, pseudonyms[landing.uid]))
    except ExpansionError as error:
        for position in landing.positions:
            yield position, unreadable(error.code), True
        return
    for position, text in records:
        refusal = _refusal(text, checker)
        yield position, text if refusal is None else unreadable(refusal), refusal is not None


def _refusal(text: bytes, checker: psycopg.Connection[Any]) -> str | None:
    try:
        checker.execute("select %s::text::jsonb", (text.decode(),))
    except UnicodeDecodeError:
        return "not_utf8"
    except (psycopg.DataError, psycopg.OperationalError) as error:
        if (error.sqlstate or "")[:2] not in _REFUSALS:
            raise
        return error.sqlstate
    return None
