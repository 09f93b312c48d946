"""The collector's way to its database: a connection a thread, made after the fork, mended when it breaks."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from fuel_stat.identity import node_id
from fuel_stat.log import get
from ingest_api import statements
from ingest_api.errors import StoreRefusedError, StoreUnavailableError
from ingest_api.kinds import Kind
from ingest_api.landing import Landing, Refused

T = TypeVar("T")
log = get(__name__)

_OPTIONS = (
    "-c plan_cache_mode=force_generic_plan -c statement_timeout={statement_ms} "
    "-c lock_timeout={statement_ms} -c idle_in_transaction_session_timeout=60000 "
    "-c jit=off -c enable_seqscan=off -c timezone=UTC"
)
#: the database chose one of two waiting requests as the loser: try again at once
_RETRIED = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS = 4
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
        self._local = threading.local()
        self._refused_until = 0.0

    def write(self, kind: Kind, landings: Sequence[Landing], refused: Sequence[Refused]) -> list[list[Any]]:
        """Write everything of one request in one transaction; returns the statement's rows for each landing.

        When this returns, the transaction is committed.

        Raises:
            StoreUnavailableError: the database cannot be reached or cannot commit now.
            StoreRefusedError: it refused the values.
        """

        def work(connection: psycopg.Connection[Any]) -> list[list[Any]]:
            if len(landings) == 1 and not refused:
                return [_land(connection, kind, landings[0])]
            with connection.transaction():
                ordered = sorted(range(len(landings)), key=lambda index: landings[index].node)
                rows: list[list[Any]] = [[] for _ in landings]
                for index in ordered:
                    rows[index] = _land(connection, kind, landings[index])
                for entry in sorted(refused, key=lambda entry: (entry.digest, entry.code)):
                    _quarantine(connection, entry)
            return rows

        return self._run(work)

    def unchanged(self, kind: Kind, uid: str, digest: bytes, tier: int) -> bool:
        """Whether the node's latest record arrived with exactly these bytes; its contact is noted when so."""
        parameters = {"node": node_id(uid), "uid": uid, "kind": kind.name, "digest": digest, "tier": tier}
        return bool(self._run(lambda connection: _rows(connection, statements.UNCHANGED, parameters)))

    def is_known(self, uid: str) -> bool:
        """Whether a node of this uid has ever reported."""
        statement = "select 1 from collector.node where node = %s"
        return (
            self._run(lambda connection: connection.execute(statement, (node_id(uid),)).fetchone())
            is not None
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

        return self._run(work)

    def run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Do other work on this thread's connection, with the same answers to failures."""
        return self._run(work)

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        reconnected = False
        for attempt in range(_ATTEMPTS):
            connection = self._connection()
            try:
                return work(connection)
            except _RETRIED as error:
                log.info("transaction_retried", reason=type(error).__name__, attempt=attempt)
            except errors.DataError as error:
                raise StoreRefusedError("storage_refused", "The database refused the values.") from error
            except psycopg.Error as error:
                broken = connection.broken or connection.closed or isinstance(error, errors.AdminShutdown)
                if broken:
                    self.close()
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

    def _connection(self) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.closed:
            return connection
        if time.monotonic() < self._refused_until:
            raise StoreUnavailableError("store_unavailable", "The database cannot be reached; send again.")
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=0,
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
        self._local.connection = connection
        return connection


def _land(connection: psycopg.Connection[Any], kind: Kind, landing: Landing) -> list[Any]:
    if not landing.keys and kind.many:
        return _rows(connection, statements.CONTACT, _common(kind, landing))
    if kind.ledger == "bitmap":
        return _rows(connection, statements.BITMAP, _bitmap(kind, landing))
    if kind.ledger == "version":
        return _rows(connection, statements.VERSION, _version(kind, landing))
    parameters = _common(kind, landing) | {"digest": landing.digest, "all": "{0}"}
    return _rows(connection, statements.LATEST, parameters)


def _rows(connection: psycopg.Connection[Any], statement: str, parameters: dict[str, Any]) -> list[Any]:
    return connection.execute(statement, parameters, binary=True).fetchall()


def _common(kind: Kind, landing: Landing) -> dict[str, Any]:
    return {
        "node": landing.node,
        "uid": landing.uid,
        "tier": landing.tier,
        "heard": landing.heard,
        "kind": kind.name,
        "version": kind.version,
        "records": landing.records,
        "payload_bytes": landing.payload_bytes,
        "payload": landing.payload,
    }


def _literal(numbers: Sequence[int]) -> str:
    return f"{{{str(numbers)[1:-1]}}}"


def _all(landing: Landing) -> str | None:
    """The positions that mean "all of them", when every record of the payload is wanted."""
    if len(landing.keys) != landing.records:
        return None
    return _literal(list(range(landing.records)))


def _bitmap(kind: Kind, landing: Landing) -> dict[str, Any]:
    buckets: dict[int, int] = {}
    for _, record_id, _, _ in landing.keys:
        bucket = record_id >> 6
        buckets[bucket] = buckets.get(bucket, 0) | 1 << (record_id & 63)
    ordered = sorted(buckets)
    return _common(kind, landing) | {
        "buckets": _literal(ordered),
        "bits": _literal([_signed(buckets[bucket]) for bucket in ordered]),
        "places": _literal([key[0] for key in landing.keys]),
        "ids": _literal([key[1] for key in landing.keys]),
        "all": _all(landing),
    }


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _version(kind: Kind, landing: Landing) -> dict[str, Any]:
    return _common(kind, landing) | {
        "places": _literal([key[0] for key in landing.keys]),
        "ids": _literal([key[1] for key in landing.keys]),
        "subtypes": [key[2] for key in landing.keys],
        "digests": [key[3] for key in landing.keys],
        "all": _all(landing),
    }


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
