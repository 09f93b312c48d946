"""Statements of the hot path, executed by libpq's own call.

A cursor of psycopg converts every value by its type, looks up what it has prepared and builds a result object: for one
small statement that is most of the client's time. Here the values are bytes already, in the binary format of the type
that the statement casts each parameter to, and the result is read as text.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus, Format

_PARAMETER = re.compile(r"%\((\w+)\)s")
_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_INT2, _INT4 = struct.Struct(">h"), struct.Struct(">i")
_ARRAY = struct.Struct(">iiIii")
TEXT_OID, BYTEA_OID = 25, 17

Values = Mapping[str, bytes | None]
Rows = list[tuple[bytes | None, ...]]


class Statement:
    """A statement with named parameters, each of which it casts to its type: ``%(node)s::uuid``."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name.encode()
        self.parameters = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        places = {parameter: f"${number}" for number, parameter in enumerate(self.parameters, 1)}
        self.text = _PARAMETER.sub(lambda match: places[match[1]], text).encode()
        self.formats = [Format.BINARY] * len(self.parameters)


class Session:
    """A connection and the statements that were prepared on it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._server = connection.pgconn
        self._prepared: set[bytes] = set()

    def rows(self, statement: Statement, values: Values) -> Rows:
        """The rows of the statement's result, their values as text.

        Raises:
            psycopg.Error: as from a cursor.
        """
        if statement.name not in self._prepared:
            self._checked(self._call(self._server.prepare, statement.name, statement.text))
            self._prepared.add(statement.name)
        sent = [values[parameter] for parameter in statement.parameters]
        result = self._call(self._server.exec_prepared, statement.name, sent, statement.formats)
        self._checked(result)
        return rows_of(result)

    def forget(self) -> None:
        """Prepare every statement anew: the server does not know them any more."""
        self._prepared.clear()

    def is_lost(self, error: psycopg.Error) -> bool:
        """Whether this error means that the connection is gone; it is closed then."""
        lost = self.connection.broken or self.connection.closed or isinstance(error, errors.AdminShutdown)
        if lost:
            with contextlib.suppress(psycopg.Error):
                self.connection.close()
        return lost

    def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except MemoryError:
            # libpq has no result when it could not even send: the connection is gone.
            raise errors.OperationalError("the connection to the server is lost") from None

    def _checked(self, result: Any) -> None:
        if result.status not in _GOOD:
            raise errors.error_from_result(result)


def rows_of(result: Any) -> Rows:
    """The rows of a libpq result, their values as text."""
    columns, value = range(result.nfields), result.get_value
    return [tuple([value(row, column) for column in columns]) for row in range(result.ntuples)]


def int2(value: int) -> bytes:
    """A smallint."""
    return _INT2.pack(value)


def int4(value: int) -> bytes:
    """An integer."""
    return _INT4.pack(value)


def array(oid: int, elements: Sequence[bytes]) -> bytes:
    """A one-dimensional array of a type whose binary format is that of the elements."""
    pieces = [_ARRAY.pack(1, 0, oid, len(elements), 1)]
    for element in elements:
        pieces += (_INT4.pack(len(element)), element)
    return b"".join(pieces)


def numbers(values: Sequence[int]) -> bytes:
    """An array literal in text: cheaper to build than typed elements."""
    return f"{{{str(list(values))[1:-1]}}}".encode()
