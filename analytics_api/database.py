"""Reading the published marts: short snapshots for answers, streamed ones for exports.

Every answer is read in one REPEATABLE READ, read-only transaction: a publication that happens in between is
not seen, so an answer never mixes two versions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from analytics_api.errors import UnavailableError
from analytics_api.settings import Settings
from fuel_stat.postgres import sqlalchemy_url

FETCH_ROWS = 500
QUERY_CANCELED = "57014"
UNDEFINED_TABLE = "42P01"

Row = Mapping[str, Any]


class Snapshot:
    """One consistent view of the marts.

    Raises:
        UnavailableError: ``database_unavailable`` when the database cannot be reached, ``query_timeout`` when a
            query took longer than the limit, ``nothing_published`` before the first publication.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(self, query: str, **parameters: Any) -> list[Row]:
        """All rows of a small result."""
        result = self._connection.execute(sa.text(query), parameters)
        return [dict(row) for row in result.mappings()]

    def first(self, query: str, **parameters: Any) -> Row | None:
        """The first row, None when there is none."""
        found = self._connection.execute(sa.text(query), parameters).mappings().first()
        return dict(found) if found is not None else None

    def publication(self) -> str | None:
        """The number of the publication that this snapshot shows; None before the first."""
        found = self.first("select ops.visible_publication() as publication_id") or {}
        number = found.get("publication_id")
        return None if number is None else str(number)

    def stream(self, query: str, **parameters: Any) -> Iterator[Row]:
        """Rows through a cursor on the server, a few hundred in memory at a time."""
        options = {"yield_per": FETCH_ROWS}
        result = self._connection.execute(sa.text(query), parameters, execution_options=options)
        try:
            yield from result.mappings()  # type: ignore[misc]
        finally:
            result.close()


class Marts:
    """The analytic database as this role sees it. Connects when first used, so it is safe before a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = threading.BoundedSemaphore(settings.export_slots)
        self._engine = sa.create_engine(
            sqlalchemy_url(settings.dsn),
            pool_size=8,
            max_overflow=settings.export_slots,
            pool_pre_ping=True,
            pool_timeout=5,
            isolation_level="REPEATABLE READ",
            connect_args={
                "connect_timeout": 3,
                "application_name": "analytics_api",
                "options": "-c TimeZone=UTC",
            },
        )

    @contextmanager
    def snapshot(self, seconds: float | None = None) -> Iterator[Snapshot]:
        """A snapshot for one answer; ``seconds`` bounds each of its statements."""
        limit = int((seconds or self._settings.query_seconds) * 1000)
        with _told_plainly(), self._engine.connect() as connection:
            connection.execution_options(postgresql_readonly=True)
            with connection.begin():
                connection.execute(sa.text(f"set local statement_timeout = {limit}"))
                yield Snapshot(connection)

    @contextmanager
    def export(self) -> Iterator[Snapshot]:
        """A snapshot for an export, one of the few that may be open at once.

        Raises:
            UnavailableError: ``exports_busy`` when all slots are taken.
        """
        if not self._slots.acquire(blocking=False):
            sentence = (
                "All export slots are taken: try again soon, or POST /api/v1/reports and fetch it later."
            )
            raise UnavailableError("exports_busy", sentence)
        try:
            with self.snapshot(self._settings.export_seconds) as snapshot:
                yield snapshot
        finally:
            self._slots.release()

    def ping(self) -> None:
        """Whether the published marts can be read now."""
        with self.snapshot(2) as snapshot:
            snapshot.first("select 1 as alive")

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Failures of the database as errors of the API, without its text (which may quote data)."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "pgcode", None)
        if code == QUERY_CANCELED:
            raise UnavailableError("query_timeout", "The query took too long and was stopped.") from error
        if code == UNDEFINED_TABLE:
            sentence = "Nothing is published yet: the first audited publication makes it readable."
            raise UnavailableError("nothing_published", sentence) from error
        raise UnavailableError("database_unavailable", "The analytic database cannot answer now.") from error
    except sa.exc.TimeoutError as error:
        raise UnavailableError("database_busy", "All database connections are in use.") from error
