"""The one thread of a process that writes: takes from the queue, sanitises, commits."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from . import aftermath, clock, retention
from .errors import SenderError
from .ledger import Batch, Ledger
from .observation import Observation, TaskFinished
from .queue import BoundedQueue
from .rows import RowMaker
from .settings import Settings
from .store import Store
from .tally import Tally
from .urlmap import UrlMap

log = logging.getLogger("nailgun_sender")

_WAITING_AGAIN = 0.5


class Writer:
    """Moves observations from the queue into the database, and keeps the house there.

    Its state is in its attributes, not in the thread: when the thread dies, another one goes on
    with the same batch. A write that fails is tried again with growing pauses; meanwhile the queue
    fills, and what does not fit is dropped and counted there.
    """

    def __init__(
        self, queue: BoundedQueue[Observation], settings: Settings, urls: UrlMap, session: str
    ) -> None:
        # held while in the database's code: a fork in there would give the child locks that nobody releases
        self.gate = threading.Lock()
        self.tally: Tally | None = None
        self.bugs = 0
        self.trouble: str | None = None
        self._queue = queue
        self._settings = settings
        self._urls = urls
        self._session = session
        self._started = clock.now()
        self._ledger: Ledger | None = None
        self._rows: RowMaker | None = None
        self._taken: list[Observation] = []
        self._batch: Batch | None = None
        self._number = 0
        self._settled = 0
        self._waiting: list[TaskFinished] = []
        self._waited = 0.0
        self._reported = {"dropped": 0, "bugs": 0}
        self._next_upkeep = 0.0
        self._next_beat = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether everything that was accepted is in the database (or was counted)."""
        return self._queue.accepted == self._settled

    def turn(self) -> bool:
        """Do what is due once; False when there was nothing. Raises what the database does."""
        with self.gate:
            rows, ledger = self._ready()
            self._keep_house(ledger)
        if self._batch is None and not self._fill(rows):
            return False
        with self.gate:
            self._commit(ledger, rows)
        return True

    def close(self) -> None:
        """End the session in good order, when all is written."""
        if self._ledger is not None:
            with self.gate:
                if self.is_idle:
                    self._ledger.beat(closed=True)
                    if self.tally is not None:
                        self.tally.remove()
                self._ledger.store.close()

    def abandon(self) -> None:
        """Drop the connection after a failure, so that the next turn begins with a new one."""
        if self._ledger is not None:
            self._ledger.store.close()
        self._ledger = None

    def _ready(self) -> tuple[RowMaker, Ledger]:
        if self._ledger is None or self._rows is None:
            store = Store.open(self._settings)
            try:
                key = bytes.fromhex(store.fact_or_new("actor_key"))
                ledger = Ledger(store, self._session, self._settings)
                path = None if self.tally is None else str(self.tally.path)
                ledger.begin(path, self._started)
            except BaseException:
                store.close()
                raise
            unmapped = self._settings.record_unmapped
            self._rows = RowMaker(self._urls, key, unmapped, self._session)
            self._ledger = ledger
        return self._rows, self._ledger

    def _fill(self, rows: RowMaker) -> bool:
        if not self._taken:
            self._taken = self._queue.take(self._settings.batch_size)
        again = self._waiting if time.monotonic() - self._waited > _WAITING_AGAIN else []
        if not (self._taken or again or self._has_news()):
            return False
        batch = Batch(self._number + 1)
        for seen in self._taken:
            self._add(batch, seen, rows)
        batch.ends.extend(again)
        batch.settled = len(self._taken) + len(again)
        self._figures(batch)
        # from here on the batch is what has to be committed; no step before this can lose a record
        self._number = batch.number
        self._batch, self._taken = batch, []
        self._waiting = [] if again else self._waiting
        return True

    def _add(self, batch: Batch, seen: Observation, rows: RowMaker) -> None:
        try:
            batch.add(seen, rows)
        except Exception:
            log.exception("a record could not be treated and is dropped")
            batch.count("untreatable")
        if len(self._queue) * 2 < self._queue.capacity:
            time.sleep(self._settings.breath)

    def _figures(self, batch: Batch) -> None:
        counts = {"dropped": self._queue.refused, "bugs": self.bugs}
        for name, value in counts.items():
            batch.count(name, value - self._reported[name])
            self._reported[name] = value
        batch.accepted, batch.dropped = self._queue.accepted, counts["dropped"]

    def _commit(self, ledger: Ledger, rows: RowMaker) -> None:
        batch = self._batch
        assert batch is not None
        try:
            ledger.commit(batch, rows)
        except SQLAlchemyError as error:
            if _is_outage(error):
                raise
            # Either the database is in a bad state, then this raises too and all waits; or there
            # is something in the batch that it will never take: find that, keep the rest.
            ledger.beat()
            self._batch = self._without_poison(ledger, rows, batch, error)
            return
        self._settle(batch)
        self._batch = None

    def _settle(self, batch: Batch) -> None:
        self._settled += batch.settled - len(batch.waiting)
        self._waiting.extend(batch.waiting)
        self._waited = time.monotonic()

    def _without_poison(
        self, ledger: Ledger, rows: RowMaker, batch: Batch, error: SQLAlchemyError
    ) -> Batch | None:
        log.error("a batch was refused (%s); its records are tried one by one", _told(error))
        parts: list[Batch] = []
        for row in batch.new:
            parts.append(replace(batch, new=[row], ends=[], counted={}, settled=0))
        for end in batch.ends:
            parts.append(replace(batch, new=[], ends=[end], counted={}, settled=0))
        rest = replace(batch, new=[], ends=[], waiting=[])
        for part in parts:
            self._number += 1
            part.number = self._number
            try:
                ledger.commit(part, rows)
                self._settle(part)
            except SQLAlchemyError as refused:
                if _is_outage(refused):
                    rest.new.extend(part.new)
                    rest.ends.extend(part.ends)
                else:
                    rest.count("refused_by_database")
        self._number += 1
        rest.number = self._number
        return rest

    def _has_news(self) -> bool:
        seen = {"dropped": self._queue.refused, "bugs": self.bugs}
        return seen != self._reported

    def _upkeep(self, store: Store) -> None:
        try:
            aftermath.settle(store, self._settings)
            retention.apply(store, self._settings)
        except SQLAlchemyError as error:
            # it can be late; recording cannot wait for it
            log.warning("upkeep did not succeed and is tried again later: %s", _told(error))

    def _keep_house(self, ledger: Ledger) -> None:
        now = time.monotonic()
        if now >= self._next_upkeep:
            self._next_upkeep = now + self._settings.upkeep_every
            self._upkeep(ledger.store)
        if now >= self._next_beat:
            self._next_beat = now + self._settings.heartbeat_every
            ledger.beat()


def _is_outage(error: SQLAlchemyError) -> bool:
    """Whether it says something of the database or the way there, and nothing of what was to be written."""
    if isinstance(error, OperationalError):
        return True
    # other errors of a connection that broke; drivers name them differently
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _told(error: BaseException) -> str:
    # never the statement's parameters: they are what we were to keep secret
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).splitlines()[0][:200] if str(cause) else ''}"


def tell(error: BaseException) -> str:
    """One line about a failure, without any recorded value."""
    return str(error) if isinstance(error, SenderError) else _told(error)
