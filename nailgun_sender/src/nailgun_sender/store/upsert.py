"""Inserts that mind what is there already, the same on SQLite and Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from ..clock import now


def insert_for(connection: Connection, table: sa.Table) -> Any:
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def insert_or_ignore(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose unique key is there already change nothing."""
    if rows:
        statement = insert_for(connection, table).on_conflict_do_nothing()
        connection.execute(statement, [dict(row) for row in rows])


def count(connection: Connection, counters: sa.Table, added: Mapping[str, int]) -> None:
    """Add to the named counters, in the caller's transaction."""
    for name, value in sorted(added.items()):
        if value:
            statement = insert_for(connection, counters).values(name=name, value=value, changed_at=now())
            statement = statement.on_conflict_do_update(
                index_elements=[counters.c.name],
                set_={
                    "value": counters.c.value + statement.excluded.value,
                    "changed_at": statement.excluded.changed_at,
                },
            )
            connection.execute(statement)
