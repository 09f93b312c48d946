"""The node's database, in both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nailgun_sender.store import Store

from fuel_stat.postgres import ensure_database
from nailgun_sender import Recorder, Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/node.sqlite"
    dsn: str = request.getfixturevalue("node_database")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'node' and pid <> pg_backend_pid()"
        )
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    return dsn.replace("postgresql://", "postgresql+psycopg2://", 1)


@pytest.fixture(scope="session")
def node_database(session_pair: Any) -> str:
    """DSN of a database on the shared server, emptied for each test: cheaper than one each."""
    primary, _standby = session_pair
    ensure_database(primary.dsn("postgres"), "node", "postgres")
    return str(primary.dsn("node"))


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    """Settings that write soon."""
    return Settings(
        database_url=url,
        linger=0.02,
        breath=0.0,
        retry_least=0.05,
        retry_most=0.2,
        tally_folder=str(tmp_path),
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The database, opened as the sending process would."""
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def recorder(settings: Settings, store: Store) -> Iterator[Recorder]:
    """A recorder on it."""
    made = Recorder(settings)
    yield made
    made.close(5)
