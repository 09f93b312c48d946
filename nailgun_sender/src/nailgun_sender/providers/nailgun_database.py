"""Reading a Nailgun-like database whose columns differ from release to release."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ..errors import ProviderError

Row = dict[str, Any]


class NailgunDatabase:
    """The host's tables, read only. A table or column that a release lacks reads as nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent look (one transaction); raises ProviderError when it fails."""
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    yield Reader(connection)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise ProviderError(
                "database_unreadable", f"The node's database cannot be read ({cause})."
            ) from error


class Reader:
    """Reads whole tables within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tables = set(sa.inspect(connection).get_table_names())

    def rows(self, table: str, columns: Iterable[str], order: str = "id") -> list[Row]:
        """Return all rows of ``table`` with those of ``columns`` that exist, JSON decoded."""
        if table not in self._tables:
            return []
        there = {each["name"]: each["type"] for each in sa.inspect(self._connection).get_columns(table)}
        flags = {name for name, kind in there.items() if isinstance(kind, sa.Boolean)}
        wanted = [name for name in columns if name in there]
        if not wanted:
            return []
        query: Any = sa.select(*[sa.column(name) for name in wanted]).select_from(sa.table(table))
        if order in there:
            query = query.order_by(sa.column(order))
        found = self._connection.execute(query).mappings()
        return [
            {str(name): decoded(value, str(name) in flags) for name, value in row.items()} for row in found
        ]


def decoded(value: Any, is_flag: bool = False) -> Any:
    """Decode a value which may be JSON that the driver left as text, or a flag left as a number."""
    if is_flag and isinstance(value, int):
        return bool(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def by(rows: Iterable[Row], column: str) -> Mapping[Any, list[Row]]:
    """Group rows by a column."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.get(column), []).append(row)
    return groups
