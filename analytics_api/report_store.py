"""What is known of each report task, in the database of the report queue."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from analytics_api.database import Row
from analytics_api.errors import TooManyError, UnavailableError
from analytics_api.parameters import Period
from fuel_stat.postgres import sqlalchemy_url

SCHEMA = """
    create table if not exists report (
        report_id uuid primary key,
        name text not null,
        from_date date not null,
        to_date date not null,
        state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'expired')),
        attempts integer not null default 0,
        bytes bigint,
        sha256 text,
        publication_id bigint,
        error_code text,
        error text,
        created_at timestamptz not null default clock_timestamp(),
        started_at timestamptz,
        finished_at timestamptz
    );
    create index if not exists report_created_idx on report (created_at);
    create index if not exists report_open_idx on report (created_at) where state in ('queued', 'running');
"""


class ReportStore:
    """Rows of the table ``report``: one a task, its states ``queued``, ``running``, ``done``, ``failed``, ``expired``.

    Raises:
        UnavailableError: ``reports_unavailable`` when the database of the queue does not answer.
    """

    def __init__(self, dsn: str) -> None:
        self._engine = sa.create_engine(
            sqlalchemy_url(dsn),
            pool_size=2,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 3, "application_name": "analytics_api reports"},
        )

    def ensure_schema(self) -> None:
        """Create the table unless it is there."""
        with self._begin() as connection:
            connection.execute(sa.text("select pg_advisory_xact_lock(hashtext('fuel-stat.reports'))"))
            connection.execute(sa.text(SCHEMA))

    def add(self, name: str, period: Period, most: int) -> uuid.UUID:
        """A new queued task.

        Raises:
            TooManyError: ``report_queue_full`` when ``most`` tasks wait or run already.
        """
        report_id = uuid.uuid4()
        with self._begin() as connection:
            waiting: int = connection.execute(
                sa.text("select count(*) from report where state in ('queued', 'running')")
            ).scalar_one()
            if waiting >= most:
                raise TooManyError("report_queue_full", f"{waiting} reports wait already: try again later.")
            connection.execute(
                sa.text(
                    "insert into report (report_id, name, from_date, to_date) values (:id, :name, :first, :last)"
                ),
                {"id": report_id, "name": name, "first": period.from_date, "last": period.to_date},
            )
        return report_id

    def get(self, report_id: uuid.UUID) -> Row | None:
        """The task of that id."""
        rows = self._rows("select * from report where report_id = :id", id=report_id)
        return rows[0] if rows else None

    def latest(self, limit: int = 100) -> list[Row]:
        """The newest tasks."""
        return self._rows(
            "select * from report order by created_at desc, report_id limit :limit", limit=limit
        )

    def begin(self, report_id: uuid.UUID) -> Row | None:
        """Mark as running; None when there is nothing (more) to do."""
        rows = self._rows(
            """
            update report set state = 'running', attempts = attempts + 1, started_at = clock_timestamp(),
                error_code = null, error = null
            where report_id = :id and state in ('queued', 'running', 'failed')
            returning *
            """,
            id=report_id,
        )
        return rows[0] if rows else None

    def finish(self, report_id: uuid.UUID, size: int, sha256: str, publication_id: int | None) -> None:
        """Mark as done: its file can be fetched."""
        self._rows(
            """
            update report set state = 'done', bytes = :size, sha256 = :sha256,
                publication_id = :publication_id, finished_at = clock_timestamp()
            where report_id = :id returning report_id
            """,
            id=report_id,
            size=size,
            sha256=sha256,
            publication_id=publication_id,
        )

    def fail(self, report_id: uuid.UUID, code: str, sentence: str, *, again: bool) -> None:
        """Note why it failed; ``again``: it waits for another attempt."""
        self._rows(
            """
            update report set state = :state, error_code = :code, error = :sentence,
                finished_at = case when :again then null else clock_timestamp() end
            where report_id = :id returning report_id
            """,
            id=report_id,
            state="queued" if again else "failed",
            code=code,
            sentence=sentence,
            again=again,
        )

    def waiting(self, seconds: float) -> list[uuid.UUID]:
        """Tasks that have been queued for longer than that."""
        rows = self._rows(
            """
            select report_id from report
            where state = 'queued' and created_at < clock_timestamp() - make_interval(secs => :seconds)
            """,
            seconds=seconds,
        )
        return [row["report_id"] for row in rows]

    def expire(self, days: float) -> list[uuid.UUID]:
        """Mark tasks that ended longer ago as expired; their ids, so that the files can be deleted."""
        rows = self._rows(
            """
            update report set state = 'expired'
            where state = 'done' and finished_at < clock_timestamp() - make_interval(secs => :days * 86400)
            returning report_id
            """,
            days=days,
        )
        return [row["report_id"] for row in rows]

    def _rows(self, query: str, **parameters: Any) -> list[Row]:
        with self._begin() as connection:
            result = connection.execute(sa.text(query), parameters)
            return [dict(row) for row in result.mappings()]

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise UnavailableError(
                "reports_unavailable", "The queue of reports cannot answer now."
            ) from error
