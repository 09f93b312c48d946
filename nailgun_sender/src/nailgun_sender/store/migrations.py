"""Our tables create and change themselves: numbered steps, each applied once.

To add a step, append a function to ``STEPS``; never change one that was released.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ..errors import StoreError
from .tables import Tables

_LOCK = 0x6675656C  # "fuel": any number, the same in every process


def _first(connection: Connection, names: Tables) -> None:
    there = set(sa.inspect(connection).get_table_names())
    first = [
        names.actions, names.workloads, names.sessions, names.counters, names.facts,
    ]  # fmt: skip
    taken = sorted(each.name for each in first if each.name in there)
    if taken:
        raise StoreError(
            "foreign_table",
            f"The database has a table {taken[0]} that is not ours; set table_prefix.",
        )
    names.metadata.create_all(connection, tables=first)


def _second(connection: Connection, names: Tables) -> None:
    names.metadata.create_all(connection, tables=[names.consents, names.parcels, names.parked])


STEPS: Sequence[Callable[[Connection, Tables], None]] = (_first, _second)


def upgrade(engine: Engine, writing: Engine, names: Tables) -> int:
    """Bring the schema to the present version; returns that version.

    Safe when several processes start at once: they take turns. Raises StoreError when a table of
    that name is somebody else's, or the schema was made by a newer release of this package.
    """
    if _version(engine, names) == len(STEPS):
        return len(STEPS)
    _prefer_wal(engine)
    with writing.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        names.schema.create(connection, checkfirst=True)
        version = connection.execute(sa.select(names.schema.c.version)).scalar_one_or_none()
        if version is None:
            version = 0
            connection.execute(names.schema.insert().values(version=0))
        if version > len(STEPS):
            raise StoreError(
                "newer_schema",
                f"The schema has version {version}, this release knows {len(STEPS)}.",
            )
        for step in STEPS[version:]:
            step(connection, names)
        connection.execute(names.schema.update().values(version=len(STEPS)))
    return len(STEPS)


def _version(engine: Engine, names: Tables) -> int | None:
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table(names.schema.name):
            return None
        found = connection.execute(sa.select(names.schema.c.version)).scalar_one_or_none()
        return None if found is None else int(found)


def _prefer_wal(engine: Engine) -> None:
    # Readers (the sending process) then never wait for the writer. Only in a file that is ours
    # alone: the journal mode of the host's own database is the host's affair.
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        if cursor.execute("select count(*) from sqlite_master").fetchone()[0] == 0:
            with suppress(sqlite3.OperationalError):  # another process is at it: it will have set the mode
                cursor.execute("pragma journal_mode = wal")
        cursor.close()
    finally:
        raw.close()
