"""The collector's way to its database: connections are made after the fork, and mended when they break.

Where requests run in the event loop (``ingest_api.hub``), all of a worker share one connection and, when they come at
the same time, a commit (``ingest_api.together``). Everything else has a connection a thread.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import errors

from fuel_stat.identity import node_id
from fuel_stat.log import get
from ingest_api import statements
from ingest_api.errors import StoreRefusedError, StoreUnavailableError
from ingest_api.hub import Hub, current
from ingest_api.kinds import Kind
from ingest_api.landing import Landing, Refused
from ingest_api.prepared import (
    Rows,
    Session,
    Statement,
    Values,
    int2,
)
from ingest_api.statements import Twin
from ingest_api.together import Together
from ingest_api.values import BY_LEDGER, common

T = TypeVar("T")
Fresh = Mapping[int, int]


class Way(Protocol):
    """How a statement reaches the database."""

    def rows(self, statement: Statement, values: Values) -> Rows:
        """Its rows, after its commit, as ``Session.rows``."""

    def forget(self) -> None:
        """Prepare every statement anew."""

    def is_lost(self, error: psycopg.Error) -> bool:
        """Whether this error means that the connection is gone; it is closed then."""


W = TypeVar("W", bound=Way)
log = get(__name__)

_OPTIONS = (
    "-c plan_cache_mode=force_generic_plan -c statement_timeout={statement_ms} "
    "-c lock_timeout={statement_ms} -c idle_in_transaction_session_timeout=60000 "
    "-c jit=off -c enable_seqscan=off -c timezone=UTC"
)
#: the database chose one of two waiting requests as the loser: try again at once
_RETRIED = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS = 4
#: a shared connection is given up when its server is silent for so many times the longest that a statement may take
_SILENCES = 2.0
#: how many nodes are remembered to have been met
_MOST_MET = 50_000
#: after a failed connection attempt, how long requests are refused without another attempt
_COOL_DOWN = 0.2


class Store:
    """Writes landings. Safe for threads and forks: nothing is connected until the first use in a thread.

    Args:
        dsn: libpq address of the primary, as role fuel_ingest.
        statement_seconds: longest a statement may run or wait for a lock.
    """

    def __init__(self, dsn: str, statement_seconds: float = 10.0) -> None:
        self._dsn = dsn
        self._options = _OPTIONS.format(statement_ms=int(statement_seconds * 1000))
        self._silence_seconds = statement_seconds * _SILENCES
        self._local = threading.local()
        self._met: set[bytes | None] = set()
        self._shared: Together | None = None
        self._refused_until = 0.0

    def write(self, kind: Kind, landings: Sequence[Landing], refused: Sequence[Refused]) -> list[Fresh]:
        """Write everything of one request in one transaction; returns for each landing what was new in it.

        That is: for a bitmap the new bits by bucket, for versions by place whether the key is new, for a latest record
        (that differs) whether it is the first, by 0. When this returns, the transaction is committed.

        Raises:
            StoreUnavailableError: the database cannot be reached or cannot commit now.
            StoreRefusedError: it refused the values.
        """

        if len(landings) == 1 and not refused:
            return self._attempt(lambda way: [self._land(way, kind, landings[0])])

        def work(session: Session) -> list[Fresh]:
            with session.connection.transaction():
                ordered = sorted(range(len(landings)), key=lambda index: landings[index].node)
                fresh: list[Fresh] = [{} for _ in landings]
                for index in ordered:
                    fresh[index] = self._land(session, kind, landings[index])
                for entry in sorted(refused, key=lambda entry: (entry.digest, entry.code)):
                    _quarantine(session.connection, entry)
            return fresh

        return self._run(work)

    def unchanged(self, kind: Kind, uid: str, digest: bytes, tier: int) -> bool:
        """Whether the node's latest record arrived with exactly these bytes; its contact is noted when so."""
        values = {
            "node": node_id(uid).bytes,
            "uid": uid.encode(),
            "kind": kind.name.encode(),
            "digest": digest,
            "tier": int2(tier),
        }
        return bool(self._attempt(lambda way: self._rows(way, statements.UNCHANGED, values)))

    def is_known(self, uid: str) -> bool:
        """Whether a node of this uid has ever reported."""
        statement = "select 1 from collector.node where node = %s"
        return (
            self.run(lambda connection: connection.execute(statement, (node_id(uid),)).fetchone()) is not None
        )

    def can_commit(self) -> int:
        """Commit a small write; returns the partition runway in days.

        Raises:
            StoreUnavailableError.
        """

        def work(connection: psycopg.Connection[Any]) -> int:
            with connection.transaction():
                connection.execute("select pg_logical_emit_message(true, 'ingest', 'ready')")
                row = connection.execute("select collector.partition_runway_days()").fetchone()
            return int(row[0]) if row else 0

        return self.run(work)

    def run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Do other work on this thread's connection, with the same answers to failures."""
        return self._run(lambda session: work(session.connection))

    def close(self) -> None:
        """Close this thread's connection, and the shared one."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        session: Session | None = getattr(self._local, "session", None)
        self._local.session = None
        if session is not None:
            with contextlib.suppress(psycopg.Error):
                session.connection.close()

    def _run(self, work: Callable[[Session], T]) -> T:
        """Work on this thread's connection; a request in the loop has another thread do it."""
        hub = current()
        if hub is None:
            return self._attempts(self._session, work)
        return hub.aside(lambda: self._attempts(self._session, work))

    def _attempt(self, work: Callable[[Way], T]) -> T:
        """Work that needs one statement: on the shared connection, when this is a request in the loop."""
        hub = current()
        if hub is None:
            return self._attempts(self._session, work)
        return self._attempts(lambda: self._together(hub), work)

    def _attempts(self, way_of: Callable[[], W], work: Callable[[W], T]) -> T:
        reconnected = False
        for attempt in range(_ATTEMPTS):
            way = way_of()
            try:
                return work(way)
            except _RETRIED as error:
                log.info("transaction_retried", reason=type(error).__name__, attempt=attempt)
            except errors.InvalidSqlStatementName:
                # A pooler in between, or a DISCARD ALL: whatever took the statements away, they are made again.
                way.forget()
                log.info("statements_prepared_anew", attempt=attempt)
            except errors.DataError as error:
                raise StoreRefusedError("storage_refused", "The database refused the values.") from error
            except psycopg.Error as error:
                broken = way.is_lost(error)
                # A connection that died while it lay idle says nothing about the server: once more, afresh.
                # What may have been committed before the answer was lost is found in the ledger then.
                if broken and not reconnected:
                    reconnected = True
                    continue
                log.warning("store_failed", reason=type(error).__name__, sqlstate=error.sqlstate)
                raise StoreUnavailableError(
                    "store_unavailable", "The database cannot take the request now; send it again."
                ) from error
        raise StoreUnavailableError("store_busy", "The database is busy; send the request again.")

    def _together(self, hub: Hub) -> Together:
        if self._shared is None or self._shared.hub is not hub:
            self._shared = Together(hub, self._connect, self._silence_seconds)
        return self._shared

    def _land(self, way: Way, kind: Kind, landing: Landing) -> Fresh:
        values = common(kind, landing)
        if not landing.places and kind.many:
            way.rows(statements.CONTACT, values)
            return {}
        if kind.ledger == "latest":
            rows = self._rows(way, statements.LATEST, {**values, "digest": landing.digest})
            return {place: row[0] == b"t" for place, row in enumerate(rows)}
        twin, more = BY_LEDGER[kind.ledger]
        rows = self._rows(way, twin, {**values, **more(landing)})
        if kind.ledger == "bitmap":
            return {int(bucket or 0): int(bits or 0) for bucket, bits in rows}
        places = dict(zip(zip(landing.subtypes, landing.ids, strict=True), landing.places, strict=True))
        return {
            places[(subtype or b"").decode(), int(external_id or 0)]: new == b"t"
            for subtype, external_id, new in rows
        }

    def _rows(self, way: Way, twin: Twin, values: Values) -> Rows:
        """The statement's rows; the cheaper one is tried with nodes that this process has met."""
        node = values["node"]
        if node in self._met:
            rows = way.rows(twin.met, values)
            if rows and rows[-1][0] is None:
                return rows[:-1]
            # Not today, or it was erased since.
        rows = way.rows(twin.any, values)
        if len(self._met) >= _MOST_MET:
            self._met.clear()
        self._met.add(node)
        return rows

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None or session.connection.closed:
            session = self._local.session = Session(self._connect())
        return session

    def _connect(self) -> psycopg.Connection[Any]:
        if time.monotonic() < self._refused_until:
            raise StoreUnavailableError("store_unavailable", "The database cannot be reached; send again.")
        try:
            return psycopg.connect(
                self._dsn,
                autocommit=True,
                # psycopg prepares nothing on this connection: after a rollback it would deallocate all statements,
                # those of the session among them.
                prepare_threshold=None,
                connect_timeout=3,
                options=self._options,
                application_name="ingest_api",
                keepalives_idle=30,
            )
        except psycopg.Error as error:
            self._refused_until = time.monotonic() + _COOL_DOWN
            log.warning("database_unreachable", reason=type(error).__name__)
            raise StoreUnavailableError(
                "store_unavailable", "The database cannot be reached; send again."
            ) from error


def _quarantine(connection: psycopg.Connection[Any], entry: Refused) -> None:
    node: uuid.UUID | None = node_id(entry.uid) if entry.uid is not None else None
    connection.execute(
        statements.QUARANTINE,
        {
            "kind": entry.kind,
            "node": node,
            "uid": entry.uid,
            "code": entry.code,
            "reason": entry.sentence,
            "position": entry.position,
            "digest": entry.digest,
            "payload_bytes": entry.payload_bytes,
            "payload": entry.payload,
            "tier": entry.tier,
        },
    )
