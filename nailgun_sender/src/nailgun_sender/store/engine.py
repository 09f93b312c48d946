"""Opening the node's database, and transactions on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from ..settings import Settings
from . import migrations
from .tables import Tables, tables
from .upsert import insert_or_ignore


class Store:
    """The node's database, migrated to this package's schema when opened.

    Make one after fork, never before. SQLite writes begin with the write lock taken, so that two
    processes wait for each other (up to five seconds) instead of failing at the first write.
    """

    def __init__(self, engine: Engine, names: Tables) -> None:
        self.engine = engine
        self.tables = names
        self._writing = engine.execution_options(fuel_stat_writes=True)

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Connect and bring our tables to the present version.

        Raises StoreError, and SQLAlchemyError when the database does not answer.
        """
        store = cls(_engine(settings.database_url), tables(settings.table_prefix))
        try:
            migrations.upgrade(store.engine, store._writing, store.tables)
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that writes; committed at the end, rolled back on an error."""
        with self._writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that reads."""
        with self.engine.begin() as connection:
            yield connection

    def fact(self, name: str) -> str | None:
        """Return the value kept under ``name``, None when there is none."""
        facts = self.tables.facts
        with self.read() as connection:
            value = connection.execute(
                sa.select(facts.c.value).where(facts.c.name == name)
            ).scalar_one_or_none()
        return None if value is None else str(value)

    def fact_or_new(self, name: str) -> str:
        """Return the secret kept under ``name``; the first caller's 32 random bytes (hex) win."""
        found = self.fact(name)
        if found is not None:
            return found
        facts = self.tables.facts
        with self.write() as connection:
            insert_or_ignore(connection, facts, [{"name": name, "value": secrets.token_hex(32)}])
        kept = self.fact(name)
        assert kept is not None
        return kept

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    parsed = sa.engine.make_url(url)
    options: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 4}
    if parsed.get_backend_name() == "sqlite":
        _make_private(parsed.database)
        options["connect_args"] = {"timeout": 5.0, "check_same_thread": False}
    else:
        options["pool_pre_ping"] = True
        options["connect_args"] = {"connect_timeout": 5}
    engine = sa.create_engine(parsed, future=True, hide_parameters=True, **options)
    if parsed.get_backend_name() == "sqlite":
        _take_over_transactions(engine)
    return engine


def _make_private(file: str | None) -> None:
    # It holds the key of the actors' hashes: nobody else may read it, whatever the host's umask. One that is there
    # already keeps the mode that its owner gave it. What cannot be made here, connecting says better.
    if not file or file == ":memory:" or file.startswith("file:"):
        return
    path = Path(file)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _take_over_transactions(engine: Engine) -> None:
    # Python's sqlite3 begins transactions late and commits before DDL; we say BEGIN ourselves.
    @sa.event.listens_for(engine, "connect")
    def _connected(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        try:
            dbapi_connection.execute("pragma synchronous = full")
        except BaseException:
            # nobody else knows this connection yet
            dbapi_connection.close()
            raise

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("fuel_stat_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
