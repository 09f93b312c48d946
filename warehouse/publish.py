"""The life of a publication: begin, build, audit, stage, switch; and back. The rules themselves are in the database.

Readers see what ``ops.published`` points to, and nothing else: until the one-row update of :func:`switch`
everything that a run does is invisible, so that a run may be killed at any moment and the next one repairs.
Every function takes a psycopg connection (autocommit) to the analytic database as ``fuel_warehouse``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fuel_stat import log
from warehouse.errors import WarehouseError

logger = log.get(__name__)
T = TypeVar("T")
Connection = psycopg.Connection[Any]

LOCK_TIMEOUT_SECONDS = 2.0
LOCK_ATTEMPTS = 15
_RETRIED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

# States of a publication that readers saw or see.
SHOWN = ("published", "superseded", "rolled_back", "collected")
# The extraction's newest load may be extended in place while it is empty: an empty load is pinned by nobody.
_BROUGHT_SOMETHING: LiteralString = """(
    l.mode <> 'window'
    or exists (select from ops.load_window as w where w.load_id = l.load_id)
    or exists (select from raw.installation_decision as d where d.load_id = l.load_id)
)"""


class PublicationError(WarehouseError):
    """A publication cannot take the step it was asked to take; what is published stays as it was."""


@dataclass(frozen=True)
class Publication:
    """One row of ``ops.publication``; times are UTC-aware, ``is_current`` says whether readers see it."""

    publication_id: int
    state: str
    reason: str
    run_id: str | None
    newest_received_at: datetime | None
    started_at: datetime
    built_at: datetime | None
    audited_at: datetime | None
    staged_at: datetime | None
    published_at: datetime | None
    ended_at: datetime | None
    rows_added: int | None
    rows_closed: int | None
    error_code: str | None
    error: str | None
    is_current: bool


def begin(connection: Connection, *, reason: str = "scheduled", run_id: str | None = None) -> Publication:
    """Open a publication and pin the set of loads that it covers.

    Whatever was being built by a run that is gone is declared failed (``abandoned``): its loads are new again.
    """
    with connection.transaction():
        connection.execute("lock table ops.publication in share row exclusive mode")
        connection.execute(
            "update ops.publication set state = 'failed', ended_at = clock_timestamp(),"
            " error_code = 'abandoned', error = 'Its run ended without a word; a later run took over.'"
            " where state in ('building', 'audited')"
        )
        row = connection.execute(
            "insert into ops.publication (reason, run_id) values (%s, %s) returning publication_id",
            (reason, run_id),
        ).fetchone()
        assert row is not None  # noqa: S101 - an insert returning gives one row
        _pin(connection, row[0])
    opened = find(connection, row[0])
    logger.info("publication_begun", publication_id=opened.publication_id, reason=reason)
    return opened


def _pin(connection: Connection, publication_id: int) -> None:
    connection.execute("truncate ops.pinned_load")
    connection.execute(
        """
        insert into ops.pinned_load (load_id, is_new, publication_id)
        select l.load_id, not exists (
            select from ops.publication_load as c inner join ops.publication as p using (publication_id)
            where c.load_id = l.load_id and p.built_at is not null
        ), %(id)s
        from ops.load as l where l.state = 'loaded' and """
        + _BROUGHT_SOMETHING,
        {"id": publication_id},
    )
    connection.execute(
        "insert into ops.publication_load (publication_id, load_id)"
        " select publication_id, load_id from ops.pinned_load where is_new"
    )
    connection.execute("update ops.touched_installation set publication_id = %s", (publication_id,))
    connection.execute(
        "update ops.publication set newest_received_at = %s where publication_id = %s",
        (_newest_received(connection), publication_id),
    )


def _newest_received(connection: Connection) -> datetime | None:
    """When the newest record that is pinned was received: of the new loads, or as published before."""
    kinds = connection.execute(
        "select table_name from information_schema.columns where table_schema = 'raw' and column_name = 'received_at'"
        " and table_name not in ('record_template', 'removed_record')"
    ).fetchall()
    times = [
        connection.execute(
            sql.SQL(
                "select max(r.received_at) from raw.{} as r where r.load_id in"
                " (select load_id from ops.pinned_load where is_new)"
            ).format(sql.Identifier(kind))
        ).fetchone()
        for (kind,) in kinds
    ]
    times.append(
        connection.execute(
            "select max(p.newest_received_at) from ops.publication as p where p.built_at is not null"
        ).fetchone()
    )
    return max((row[0] for row in times if row and row[0] is not None), default=None)


def has_loads(connection: Connection) -> bool:
    """Whether any load ever brought something: before that there is nothing to build from."""
    row = connection.execute(
        "select exists (select from ops.load as l where l.state = 'loaded' and " + _BROUGHT_SOMETHING + ")"
    ).fetchone()
    return bool(row and row[0])


def has_new(connection: Connection) -> bool:
    """Whether anything was loaded, or touched otherwise, that no published publication covers."""
    row = connection.execute(
        """
        select exists (select from ops.touched_installation)
            or not exists (
                -- Models about "today" change with the (UTC) day even when nothing arrives.
                select from ops.published inner join ops.publication as p using (publication_id)
                where (p.started_at at time zone 'UTC')::date = (now() at time zone 'UTC')::date
            )
            or exists (
                select from ops.load as l where l.state = 'loaded' and """
        + _BROUGHT_SOMETHING
        + """ and not exists (
                    select from ops.publication_load as c inner join ops.publication as p using (publication_id)
                    where c.load_id = l.load_id and p.published_at is not null
                )
            )
            or exists (
                select from ops.publication as p inner join ops.published as shown on true
                where p.publication_id > shown.publication_id and p.state = 'failed'
            )
        """
    ).fetchone()
    return bool(row and row[0])


def mark_built(connection: Connection, publication_id: int) -> None:
    """dbt has built and tested every layer: the pinned loads are in schema build from now on."""
    with connection.transaction():
        require(connection, publication_id, "building")
        connection.execute(
            "update ops.publication set built_at = clock_timestamp() where publication_id = %s",
            (publication_id,),
        )
        connection.execute(
            "delete from ops.touched_installation where publication_id = %s", (publication_id,)
        )


def mark_audited(connection: Connection, publication_id: int) -> None:
    """The audits are recorded: ask the database to accept them.

    Raises:
        PublicationError: ``audit_failed`` when a blocking expectation failed, ``not_audited`` when a suite is missing.
    """
    require(connection, publication_id, "building")
    try:
        connection.execute(
            "update ops.publication set state = 'audited' where publication_id = %s", (publication_id,)
        )
    except psycopg.DatabaseError as error:
        code = {"FS002": "not_audited", "FS003": "audit_failed"}.get(error.sqlstate or "")
        if code is None:
            raise
        raise PublicationError(code, _sentence(error)) from error


def switch(
    connection: Connection, publication_id: int, *, before: Callable[[], object] | None = None
) -> None:
    """Let readers see this publication: one row updated, with a lock timeout and retries.

    ``before`` runs in the same transaction (views whose columns changed), so that nobody sees one without the other.

    Raises:
        PublicationError: ``not_publishable`` when the database refuses it, ``lock_timeout`` when the pointer's row
            stayed locked through all attempts.
    """

    def move() -> None:
        if before is not None:
            before()
        moved = connection.execute("update ops.published set publication_id = %s", (publication_id,))
        if not moved.rowcount:
            connection.execute("insert into ops.published (publication_id) values (%s)", (publication_id,))

    try:
        with_lock_timeout(connection, move)
    except psycopg.DatabaseError as error:
        if (error.sqlstate or "")[:2] != "FS":
            raise
        raise PublicationError("not_publishable", _sentence(error)) from error
    logger.info("publication_published", publication_id=publication_id)


def rollback(connection: Connection, to: int | None = None) -> Publication:
    """Show an earlier publication again: the one before the current, or ``to``. Its rows are still kept.

    Raises:
        PublicationError: ``nothing_to_roll_back_to``, ``not_publishable``.
    """
    target = to if to is not None else _one_before(connection)
    if target is None:
        raise PublicationError(
            "nothing_to_roll_back_to", "There is no earlier publication that is still kept."
        )
    shown = current(connection)
    if shown is not None and shown.publication_id == target:
        raise PublicationError("not_publishable", f"Publication {target} is the one that is published.")
    switch(connection, target)
    return find(connection, target)


def _one_before(connection: Connection) -> int | None:
    row = connection.execute(
        "select max(p.publication_id) from ops.publication as p inner join ops.published as shown"
        " on p.publication_id < shown.publication_id where p.state in ('superseded', 'rolled_back')"
    ).fetchone()
    return row[0] if row else None


def fail(connection: Connection, publication_id: int, code: str, sentence: str) -> None:
    """Record that this publication came to nothing, and why; does nothing when it has ended already."""
    connection.execute(
        "update ops.publication set state = 'failed', ended_at = clock_timestamp(), error_code = %s, error = %s"
        " where publication_id = %s and state in ('building', 'audited')",
        (code, sentence[:2000], publication_id),
    )
    logger.warning("publication_failed", publication_id=publication_id, code=code, reason=sentence[:500])


def find(connection: Connection, publication_id: int) -> Publication:
    """One publication.

    Raises:
        PublicationError: ``unknown_publication``.
    """
    found = _select(connection, "where p.publication_id = %s", (publication_id,))
    if not found:
        raise PublicationError("unknown_publication", f"There is no publication {publication_id}.")
    return found[0]


def current(connection: Connection) -> Publication | None:
    """What readers see; None before the first publication."""
    found = _select(connection, "where shown.publication_id is not null")
    return found[0] if found else None


def newest(connection: Connection, limit: int = 20) -> list[Publication]:
    """The latest publications, newest first."""
    return _select(connection, "order by p.publication_id desc limit %s", (limit,))


def _select(
    connection: Connection, tail: LiteralString, parameters: tuple[Any, ...] = ()
) -> list[Publication]:
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        return cursor.execute(
            "select p.*, shown.publication_id is not null as is_current"
            " from ops.publication as p left join ops.published as shown using (publication_id) " + tail,
            parameters,
        ).fetchall()


def require(connection: Connection, publication_id: int, state: str) -> None:
    """Go on only while the publication is in this state.

    Raises:
        PublicationError: ``wrong_state``, ``unknown_publication``.
    """
    found = find(connection, publication_id)
    if found.state != state:
        why = f" ({found.error})" if found.error else ""
        raise PublicationError(
            "wrong_state",
            f"Publication {publication_id} is {found.state}, not {state}{why}; a newer run goes on.",
        )


@contextmanager
def step(connection: Connection, publication_id: int, name: str) -> Iterator[None]:
    """Time a step of the publication into ``ops.publication_step``; an error is recorded there and raised on."""
    started = time.time()
    detail: str | None = None
    try:
        yield
    except Exception as error:
        detail = str(error)[:1000]
        raise
    finally:
        connection.execute(
            "insert into ops.publication_step (publication_id, step, started_at, seconds, succeeded, detail)"
            " values (%s, %s, to_timestamp(%s), %s, %s, %s) on conflict do nothing",
            (publication_id, name, started, time.time() - started, detail is None, detail),
        )


def with_lock_timeout(
    connection: Connection,
    work: Callable[[], T],
    *,
    timeout: float = LOCK_TIMEOUT_SECONDS,
    attempts: int = LOCK_ATTEMPTS,
) -> T:
    """Run ``work`` in a transaction that waits at most ``timeout`` seconds for a lock, up to ``attempts`` times.

    A short wait that is repeated lets others through in between: whoever waits for an exclusive lock has all
    readers queue behind it.

    Raises:
        PublicationError: ``lock_timeout``.
    """
    for attempt in range(1, attempts + 1):
        try:
            with connection.transaction():
                connection.execute(
                    "select set_config('lock_timeout', %s, true)", (f"{round(timeout * 1000)}ms",)
                )
                return work()
        except _RETRIED:
            logger.warning("lock_timeout", attempt=attempt, attempts=attempts)
            time.sleep(min(0.2 * attempt, 2.0))
    raise PublicationError(
        "lock_timeout",
        f"A lock was not granted in {attempts} attempts of {timeout:g} s: a reader or writer holds it.",
    )


def _sentence(error: psycopg.DatabaseError) -> str:
    return (error.diag.message_primary or str(error)).strip()
