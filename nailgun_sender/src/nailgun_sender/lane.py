"""What one process of the host has of the recorder: a queue, and a thread that empties it."""

from __future__ import annotations

import importlib
import logging
import threading
import time

from . import aftermath, tally
from .ledger import new_session
from .observation import Observation
from .queue import BoundedQueue
from .settings import Settings
from .urlmap import UrlMap
from .writer import Writer, tell

log = logging.getLogger("nailgun_sender")

_IDLE = 5.0
_RESTART_AFTER = 1.0


class Lane:
    """Queue, writer and thread of one process. Made in microseconds; the thread starts when needed.

    Nothing here raises into the host or makes it wait; only ``close`` takes time, up to its
    deadline.
    """

    def __init__(self, settings: Settings, urls: UrlMap) -> None:
        session = new_session()
        self.queue: BoundedQueue[Observation] = BoundedQueue(settings.queue_size)
        self.writer = Writer(self.queue, settings, urls, session)
        self._settings = settings
        self._session = session
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.asked = 0
        self._tried = float("-inf")
        self._stopping = False
        self._deadline = 0.0
        self._has_threads = _host_runs_threads()

    def close(self, timeout: float) -> None:
        """Write what waits, for at most ``timeout`` seconds, and end the session."""
        self._deadline = time.monotonic() + timeout
        self._stopping = True
        self.queue.wake()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def look_after_writer(self) -> None:
        """Start the writer when there is none, or when it died."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._start()

    def _start(self) -> None:
        now = time.monotonic()
        if now - self._tried < _RESTART_AFTER or not self._starting.acquire(blocking=False):
            return
        try:
            if self._stopping or (self._thread is not None and self._thread.is_alive()):
                return
            self._tried = now
            if not self._has_threads:
                log.error("the host runs no threads (uWSGI: set enable-threads); nothing recorded")
                self._tried = float("inf")
                return
            thread = threading.Thread(target=self._run, name="nailgun-sender", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError as error:
            log.error("the writer cannot start now: %s", error)
        finally:
            self._starting.release()

    def _run(self) -> None:
        if self.writer.tally is None:
            database = aftermath.database(self._settings)
            made = tally.make(self._settings.tally_folder, database, self._session)
            if made is not None:
                self.queue.count_in(made.counts)
            self.writer.tally = made
        pause = self._settings.retry_least
        while True:
            try:
                busy = self.writer.turn()
                self._recovered()
                pause = self._settings.retry_least
            except Exception as error:  # noqa: BLE001 - whatever it is, the host must not notice
                self._failed(error)
                self._sleep(pause)
                if self._stopping and time.monotonic() > self._deadline:
                    return
                pause = min(pause * 2, self._settings.retry_most)
                continue
            if self._stopping and self.writer.is_idle:
                self.writer.close()
                return
            if not busy:
                self.queue.wait(_IDLE)
            if not self._stopping and len(self.queue) < self._settings.batch_size:
                # let a few more come, so that they share a commit
                time.sleep(self._settings.linger)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(0.1, seconds))
            if self._stopping:
                return

    def _failed(self, error: BaseException) -> None:
        told = tell(error)
        if self.writer.trouble is None:
            log.warning("recording waits, the database does not take it: %s", told)
        self.writer.trouble = told
        try:
            self.writer.abandon()
        except Exception:
            log.exception("the connection could not be closed")

    def _recovered(self) -> None:
        if self.writer.trouble is not None:
            log.warning("recording goes on")
            self.writer.trouble = None


def _host_runs_threads() -> bool:
    # uWSGI runs Python threads only when told to; without, ours would run at the host's expense.
    try:
        options = importlib.import_module("uwsgi").opt
    except (ImportError, AttributeError):
        return True
    return any(name in options for name in ("enable-threads", "threads", "gevent"))
