"""Raw records in, published marts out: the real models built by dbt and published by the publisher."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fuel_stat.identity import installation_key
from warehouse import publish, publish_store, publish_views
from warehouse.dbt_runner import Project, run

KINDS = ("action_logs", "installation_structure", "oswl_stats")
MODELS = ("build", "--resource-type", "model", "--resource-type", "seed")


@dataclass(frozen=True)
class RawRecord:
    """A record as extraction leaves it; ``record`` does not name its node."""

    kind: str
    uid: str
    received_at: datetime
    record: dict[str, Any]


def load(dsn: str, pepper: bytes, records: Iterable[RawRecord], contacts: dict[str, list[datetime]]) -> int:
    """Write records and contacts into raw under one new load; its id."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        load_id = new_load(cursor)
        rows: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in KINDS}
        for found in records:
            key = installation_key(pepper, found.uid)
            row = (uuid.uuid4(), 0, load_id, key, found.received_at, 0, Jsonb(found.record))
            rows[found.kind].append(row)
        for kind, values in rows.items():
            cursor.executemany(f"insert into raw.{kind} values (%s, %s, %s, %s, %s, %s, %s)", values)
            cursor.execute(
                "insert into ops.load_window select %s, %s, received_at::date, 0, count(*), count(*), 0, 0"
                f" from raw.{kind} where load_id = %s group by received_at::date",
                (load_id, kind, load_id),
            )
        for uid, moments in contacts.items():
            key = installation_key(pepper, uid)
            cursor.executemany(
                "insert into raw.contact values (%s, %s, 0, %s, %s) on conflict do nothing",
                [(key, moment.date(), moment, load_id) for moment in moments],
            )
        return load_id


def new_load(cursor: psycopg.Cursor[Any]) -> int:
    """A finished extraction."""
    row = cursor.execute("insert into ops.load (finished_at) values (now()) returning load_id").fetchone()
    assert row is not None
    return int(row[0])


def decide(dsn: str, pepper: bytes, filtered: dict[str, bool | None], load_id: int) -> None:
    """Decisions about installations; None: imported, nobody had decided."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("alter table raw.installation_decision alter column is_filtered drop not null")
        cursor.executemany(
            "insert into raw.installation_decision values (%s, %s, 'test', now(), %s)",
            [(installation_key(pepper, uid), value, load_id) for uid, value in filtered.items()],
        )


def build(dsn: str, targets: Path) -> None:
    """Build all models."""
    run(Project(dsn, targets), [*MODELS], target="test", tell=lambda line: None)


def published_tables(dsn: str) -> list[str]:
    """The tables of schema build that are published."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select tablename from pg_tables where schemaname = 'build' and tablename ~ '^(dim|fct|bridge|rpt)_'"
        ).fetchall()
    return sorted(name for (name,) in rows)


def publish_build(dsn: str, targets: Path | None) -> int:
    """Build (with ``targets``), audit and publish what is in raw; the publication's id."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        opened = publish.begin(connection)
        if targets is not None:
            build(dsn, targets)
        publish.mark_built(connection, opened.publication_id)
        record_audit(connection, opened.publication_id)
        publish.mark_audited(connection, opened.publication_id)
        tables = published_tables(dsn)
        publish_store.stage(connection, opened.publication_id, tables)
        publish.switch(
            connection,
            opened.publication_id,
            before=lambda: publish_views.bring_in_line(connection, tables),
        )
        return opened.publication_id


def record_audit(connection: psycopg.Connection[Any], publication_id: int, *, fails: bool = False) -> None:
    """Results of an audit; with ``fails``, a blocking expectation did not hold."""
    connection.cursor().executemany(
        "insert into ops.audit_result (publication_id, suite, expectation, table_name, severity, succeeded, detail)"
        " values (%s, %s, %s, 'fct_action', 'block', %s, %s)",
        [
            (publication_id, "raw", "records_arrive", True, None),
            (publication_id, "marts", "keys_are_unique", not fails, "3 keys twice" if fails else None),
        ],
    )


def refuse_build(dsn: str) -> int:
    """A further attempt that its audit refuses; its id."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        opened = publish.begin(connection)
        publish.mark_built(connection, opened.publication_id)
        record_audit(connection, opened.publication_id, fails=True)
        publish.fail(connection, opened.publication_id, "audit_failed", "An expectation failed.")
        return opened.publication_id


def disconnect(superuser_dsn: str, database: str) -> None:
    """End all sessions of a database, so that it can be copied; pools connect again by themselves."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
            (database,),
        )
