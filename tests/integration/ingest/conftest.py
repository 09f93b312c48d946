"""A collector under gunicorn for tests that look at its database."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.ingest.server import Server, running_server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts a collector on a database: ``serve(dsn, FUEL_STAT_...=...)``; stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(dsn: str, *, workers: int = 2, arguments: tuple[str, ...] = (), **environ: str) -> Server:
            return stack.enter_context(
                running_server(dsn, tmp_path, workers=workers, arguments=arguments, environ=environ)
            )

        yield start
