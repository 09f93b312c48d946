"""A warehouse with two small published tables, built without dbt, so that tests are about publishing only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from warehouse import publish, publish_store, publish_views

TABLES = ["dim_thing", "fct_thing"]


@dataclass
class Warehouse:
    """The analytic database with its tables, and connections to it."""

    dsn: str
    reader_dsn: str
    connection: psycopg.Connection[Any]

    def load(self, kind: str | None = "action_logs") -> int:
        """A load that brought something (or nothing, where kind is None)."""
        row = self.connection.execute(
            "insert into ops.load (state, finished_at) values ('loaded', now()) returning load_id"
        ).fetchone()
        assert row is not None
        if kind:
            self.connection.execute(
                "insert into ops.load_window (load_id, kind, received_day, tier, landings, records, bytes,"
                " landing_hash)"
                " values (%s, %s, current_date, 0, 1, 1, 1, 1)",
                (row[0], kind),
            )
        return int(row[0])

    def build(self, version: int, rows: int = 50) -> None:
        """What dbt would leave in schema build: every row of both tables carries the version."""
        for table in TABLES:
            self.connection.execute(f"create table if not exists build.{table} (id int, version int)")
            self.connection.execute(f"truncate build.{table}")
            self.connection.execute(
                f"insert into build.{table} select i, %s from generate_series(1, %s) as i", (version, rows)
            )

    def record_audits(self, publication_id: int, *, succeeded: bool = True, severity: str = "block") -> None:
        """Results of both suites, one expectation each."""
        for suite in ("raw", "marts"):
            self.connection.execute(
                "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded)"
                " values (%s, %s, 'rule', 'table', %s, %s)",
                (publication_id, suite, severity, succeeded or suite == "raw"),
            )

    def audited(self, tables: list[str] | None = None) -> int:
        """A publication of what is in schema build, staged and not yet switched to."""
        publication_id = publish.begin(self.connection).publication_id
        self.record_audits(publication_id)
        publish.mark_built(self.connection, publication_id)
        publish.mark_audited(self.connection, publication_id)
        publish_store.stage(self.connection, publication_id, tables or TABLES)
        return publication_id

    def publish(self, tables: list[str] | None = None) -> int:
        """All of it, switched to."""
        publication_id = self.audited(tables)
        publish.switch(
            self.connection,
            publication_id,
            before=lambda: publish_views.bring_in_line(self.connection, tables or TABLES),
        )
        return publication_id

    def seen(
        self, statement: str = "select min(version), max(version), count(*) from marts.fct_thing"
    ) -> Any:
        """What a reader gets."""
        with psycopg.connect(self.reader_dsn, autocommit=True) as reader:
            return reader.execute(statement.encode()).fetchone()


@pytest.fixture
def warehouse(analytic_db: Any) -> Iterator[Warehouse]:
    """An analytic database with a load and two built tables."""
    dsn = analytic_db.dsn("fuel_warehouse")
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = Warehouse(dsn, analytic_db.dsn("fuel_analytics"), connection)
        found.load()
        found.build(1)
        yield found
