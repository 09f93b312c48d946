"""The background process: a cycle about once an hour, at a time of its own, quiet unless something changes."""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import sqlalchemy as sa

from ..errors import SenderError
from ..settings import Settings
from ..store import Store
from . import retention_duty
from .cycle import Cycle, Report
from .settings import MessengerSettings

log = logging.getLogger("nailgun_sender.messenger")

MakeCycle = Callable[[Store, Callable[[float], None], Callable[[], bool]], Cycle]
_TROUBLE_LEAST, _TROUBLE_MOST = 5.0, 600.0


class Daemon:
    """Runs cycles until it is told to stop.

    Args:
        settings: of the node's database.
        messenger: of sending.
        make_cycle: gives a cycle over an open store; it gets a sleep that ends when we are told to stop, and the
            question whether we were.
    """

    def __init__(self, settings: Settings, messenger: MessengerSettings, make_cycle: MakeCycle) -> None:
        self._settings = settings
        self._messenger = messenger
        self._make_cycle = make_cycle
        self._stop = threading.Event()
        self._state = ""

    def stop(self) -> None:
        """End after the request that is under way."""
        self._stop.set()

    def run_until_signalled(self) -> None:
        """Run in the main thread of a process; SIGTERM and SIGINT end it."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        self.run()

    def run(self) -> None:
        """Cycle after cycle; the first at a random time within the interval, so that a fleet does not come at once."""
        wait = random.uniform(0, self._messenger.interval)
        while not self._stop.wait(wait):
            wait = self._once()

    def _once(self) -> float:
        trouble = _TROUBLE_LEAST
        while not self._stop.is_set():
            try:
                report = self._cycle()
            except (sa.exc.SQLAlchemyError, SenderError, OSError) as error:
                # The node's database is away, locked or full: nothing was lost, so wait for it.
                self._say(f"trouble: {_cause(error)}", logging.WARNING)
                if self._stop.wait(random.uniform(trouble / 2, trouble)):
                    break
                trouble = min(trouble * 2, _TROUBLE_MOST)
                continue
            self._tell(report)
            break
        # Around the interval, never exactly: nodes that started together drift apart.
        return self._messenger.interval * random.uniform(0.9, 1.1)

    def _cycle(self) -> Report:
        store = Store.open(self._settings)
        try:
            report = self._make_cycle(store, self._sleep, self._stop.is_set).run()
            retention_duty.apply_quietly(store, self._settings)
            return report
        finally:
            # Between cycles we hold no connection of the host's database.
            store.close()

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and time.monotonic() < deadline:
            self._stop.wait(min(1.0, deadline - time.monotonic()))

    def _tell(self, report: Report) -> None:
        if report.silent:
            self._say(f"silent: {report.silent}", logging.INFO)
        elif report.stopped:
            self._say(f"stopped: {report.stopped}", logging.WARNING)
        elif sum(report.parked.values()):
            self._say("sent, but the collector refused some records", logging.WARNING)
        else:
            self._say("sending", logging.INFO)

    def _say(self, state: str, level: int) -> None:
        if state != self._state:
            log.log(level, "%s", state)
            self._state = state


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"[:300]
