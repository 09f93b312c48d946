"""Requests that wait for the database at the same time share a round trip and a commit.

Statements that are handed in while the loop looks at what is ready, or while the database works, wait; then all of them
go out in one pipeline with one transaction around them, and each request gets its rows after the commit. So the more
there is to do, the less each costs, and a request that is alone waits for nobody. When a statement of a shared
transaction is refused, all are sent again, each for itself: nobody suffers from what another one sent.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from greenlet import getcurrent  # type: ignore[import-untyped]
from psycopg import errors
from psycopg.pq import ConnStatus, ExecStatus

from ingest_api.hub import Hub
from ingest_api.prepared import Rows, Statement, Values, rows_of

#: the most that share a transaction, in statements and bytes: none of them should wait long for the others
_MOST_TOGETHER = 64
_MOST_BYTES = 2**21
_READ = selectors.EVENT_READ
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class LostConnectionError(errors.OperationalError):
    """The connection is gone; what had been committed by then is not known."""


class Waiting:
    """A request's statement, and later its rows or its error."""

    __slots__ = ("error", "node", "request", "rows", "size", "statement", "values")

    def __init__(self, statement: Statement, values: Values) -> None:
        self.statement = statement
        self.values = [values[parameter] for parameter in statement.parameters]
        self.size = sum([len(value) for value in self.values if value is not None])
        self.node = values["node"] or b""
        self.rows: Rows = []
        self.error: BaseException | None = None
        self.request = getcurrent()


class Pipeline:
    """A connection that is always in pipeline mode, and the statements that were prepared on it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._server.enter_pipeline_mode()
        self._server.nonblocking = 1
        self._prepared: set[bytes] = set()
        self._reading: Iterator[None] = iter(())
        self.fileno = self._server.socket

    def close(self) -> None:
        """Close the connection."""
        with suppress(psycopg.Error):
            self._connection.close()

    def send(self, transactions: Sequence[Sequence[Waiting]]) -> None:
        """Begin to send all, each sequence as a transaction.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        server = self._server
        expected: list[tuple[Callable[[Waiting, Any], None] | None, Waiting | None]] = []
        for transaction in transactions:
            for one in transaction:
                statement = one.statement
                if statement.name not in self._prepared:
                    server.send_prepare(statement.name, statement.text)
                    self._prepared.add(statement.name)
                    expected.append((self._take_prepared, one))
                server.send_query_prepared(statement.name, one.values, statement.formats)
                expected.append((self._take_rows, one))
            server.pipeline_sync()
            expected.append((None, None))
        self._reading = self._read(expected)

    def flush(self) -> bool:
        """Send on; true when nothing is left to be sent."""
        return self._server.flush() == 0

    def receive(self) -> bool:
        """Take in what has come; true when everything has.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        self._server.consume_input()
        done = next(self._reading, self) is self
        if self._server.status != ConnStatus.OK:
            raise errors.OperationalError("the server has closed the connection")
        return done

    def _read(self, expected: Any) -> Iterator[None]:
        """Stops wherever more must come."""
        server = self._server
        for take, one in expected:
            while server.is_busy():
                yield
            result = server.get_result()
            if take is None:
                _expect(result, ExecStatus.PIPELINE_SYNC)
                continue
            if result is None:
                raise errors.OperationalError("a result is missing")
            take(one, result)
            while server.is_busy():
                yield
            # The end of the statement's results.
            server.get_result()

    def _take_prepared(self, one: Waiting, result: Any) -> None:
        if result.status != ExecStatus.COMMAND_OK:
            self._prepared.discard(one.statement.name)

    def _take_rows(self, one: Waiting, result: Any) -> None:
        if result.status == ExecStatus.TUPLES_OK:
            one.rows = rows_of(result)
        elif result.status == ExecStatus.PIPELINE_ABORTED:
            one.error = errors.InFailedSqlTransaction("another statement of the transaction was refused")
        else:
            one.error = errors.error_from_result(result)
            if isinstance(one.error, errors.InvalidSqlStatementName):
                self._prepared.clear()


def _expect(result: Any, status: ExecStatus) -> None:
    if result is None or result.status != status:
        raise errors.OperationalError("the results are not those that were asked for")


class Together:
    """The requests of a worker on one connection. Used by the loop's thread only.

    Args:
        hub: whose requests these are.
        connect: makes a connection, in a thread.
        seconds: how long the database may take for what was sent; beyond it the connection is given up.
    """

    def __init__(self, hub: Hub, connect: Callable[[], psycopg.Connection[Any]], seconds: float) -> None:
        self.hub = hub
        self._connect = connect
        self._seconds = seconds
        self._queue: deque[Waiting] = deque()
        self._sent: list[Waiting] = []
        self._alone = False
        self._blocked = False
        self._connecting = False
        self._pipeline: Pipeline | None = None
        self._told: Callable[[Any], None]
        self._deadline = 0.0
        hub.turn_ends.append(self._go_on)

    def rows(self, statement: Statement, values: Values) -> Rows:
        """The rows of a statement, after its commit. Called by a request.

        Raises:
            LostConnectionError
            psycopg.Error: the database refused the statement.
            StoreUnavailableError: from ``connect``.
        """
        one = Waiting(statement, values)
        self._queue.append(one)
        self.hub.step_aside()
        if one.error is not None:
            raise one.error
        return one.rows

    def forget(self) -> None:
        """Nothing to do: the pipeline has forgotten its statements when it was told that one is unknown."""

    def is_lost(self, error: psycopg.Error) -> bool:
        """Whether this error means that the connection is gone."""
        return isinstance(error, LostConnectionError)

    def close(self) -> None:
        """Close the connection. Nobody may be waiting."""
        if self._pipeline is not None:
            self.hub.poller.unregister(self._pipeline.fileno)
            self._pipeline.close()
            self._pipeline = None

    def _go_on(self) -> None:
        if self._sent:
            if time.monotonic() > self._deadline:
                self._lose("the database did not answer in time")
        elif self._queue and not self._connecting:
            if self._pipeline is not None:
                self._send_next(self._pipeline)
            else:
                self._connecting = True
                self.hub.in_thread(lambda: Pipeline(self._connect()), self._connected)

    def _connected(self, future: Future[Pipeline]) -> None:
        self._connecting = False
        error = future.exception()
        if error is not None:
            refused, self._queue = list(self._queue), deque()
            self._give_back(refused, error)
            return
        self._pipeline = future.result()
        self._told = partial(self._ready, self._pipeline)
        self.hub.poller.register(self._pipeline.fileno, _READ, self._told)

    def _send_next(self, pipeline: Pipeline) -> None:
        size = 0
        while self._queue and len(self._sent) < _MOST_TOGETHER and size < _MOST_BYTES:
            one = self._queue.popleft()
            size += one.size
            self._sent.append(one)
        # Whoever locks rows of several nodes does so in this order: two transactions cannot wait for each other.
        self._sent.sort(key=_node_of)
        self._alone = len(self._sent) == 1
        self._send(pipeline, [self._sent])

    def _send(self, pipeline: Pipeline, transactions: Sequence[Sequence[Waiting]]) -> None:
        self._deadline = time.monotonic() + self._seconds
        try:
            pipeline.send(transactions)
            if not pipeline.flush():
                self._blocked = True
                self.hub.poller.modify(pipeline.fileno, _BOTH, self._told)
        except psycopg.Error as error:
            self._lose(str(error))

    def _ready(self, pipeline: Pipeline, _: Any) -> None:
        """The server has sent something, or takes more, or is gone."""
        if pipeline is not self._pipeline:
            return
        try:
            if self._blocked and pipeline.flush():
                self._blocked = False
                self.hub.poller.modify(pipeline.fileno, _READ, self._told)
            if not pipeline.receive():
                return
        except psycopg.Error as error:
            self._lose(str(error))
            return
        if not self._alone and any(one.error is not None for one in self._sent):
            self._alone = True
            for one in self._sent:
                one.error = None
            self._send(pipeline, [[one] for one in self._sent])
            return
        done, self._sent = self._sent, []
        # The database goes on while the answers are written.
        if self._queue:
            self._send_next(pipeline)
        self._give_back(done)

    def _lose(self, reason: str) -> None:
        lost, self._sent = self._sent, []
        pipeline, self._pipeline = self._pipeline, None
        self._blocked = False
        if pipeline is not None:
            self.hub.poller.unregister(pipeline.fileno)
            pipeline.close()
        self._give_back(lost, LostConnectionError(reason))

    def _give_back(self, requests: Sequence[Waiting], error: BaseException | None = None) -> None:
        for one in requests:
            if error is not None:
                one.error = error
            one.request.switch()


def _node_of(one: Waiting) -> bytes:
    return one.node
