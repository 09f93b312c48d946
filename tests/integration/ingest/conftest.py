"""Collectors under gunicorn for tests that look at the database behind them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from fuel_stat.postgres import Cluster, ensure_database
from tests.conftest import Pair, drop_database
from tests.integration.ingest.server import Server, running_server

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Collector:
    """A running collector and its database."""

    server: Server
    client: httpx.Client
    pair: Pair

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What the database says, as its superuser."""
        with psycopg.connect(self.pair.dsn()) as connection:
            return connection.execute(statement, values or None).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts a collector on a database: ``serve(dsn, FUEL_STAT_...=...)``; stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(dsn: str, *, workers: int = 2, arguments: tuple[str, ...] = (), **environ: str) -> Server:
            return stack.enter_context(
                running_server(dsn, tmp_path, workers=workers, arguments=arguments, environ=environ)
            )

        yield start


@pytest.fixture(scope="module")
def collector(
    session_pair: tuple[Cluster, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """One collector for a module; its tests use uids of their own."""
    primary, standby = session_pair
    database = f"ingest_{next(_numbers)}"
    ensure_database(primary.dsn("postgres"), database, "fuel_admin", template="collector_template")
    pair = Pair(primary, standby, database)
    folder = tmp_path_factory.mktemp("ingest")
    with running_server(pair.dsn("fuel_ingest"), folder) as server, server.client() as client:
        yield Collector(server, client, pair)
    drop_database(primary, database)
