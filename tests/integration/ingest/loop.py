"""An event loop for tests: the hub with a selector and threads around it, and no server."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

from gunicorn.workers.gthread import PollableMethodQueue

from ingest_api.hub import Hub


class Loop:
    """``run`` begins all requests in one turn, as when they arrive together."""

    def __enter__(self) -> Self:
        self._poller = selectors.DefaultSelector()
        self._queue = PollableMethodQueue()
        self._queue.init()
        self._poller.register(self._queue.fileno(), selectors.EVENT_READ, self._queue.run_callbacks)
        #: called at the end, in the thread and here
        self.closes: list[Callable[[], None]] = []
        self._threads = ThreadPoolExecutor(1)
        self.hub = Hub(self._poller, self._threads, self._queue.defer)
        return self

    def __exit__(self, *_: object) -> None:
        for close in self.closes:
            self._threads.submit(close).result()
            close()
        self._threads.shutdown()
        self._queue.close()
        self._poller.close()

    def run(self, *requests: Callable[[Hub], Any], seconds: float = 20) -> list[Any]:
        """What each returned or raised."""
        outcomes: dict[int, Any] = {}

        def request(number: int, work: Callable[[Hub], Any]) -> None:
            try:
                outcomes[number] = work(self.hub)
            except Exception as error:
                outcomes[number] = error

        for number, work in enumerate(requests):
            self.hub.run(partial(request, number, work))
        last = time.monotonic() + seconds
        while len(outcomes) < len(requests):
            self.hub.end_turn()
            for key, _ in self._poller.select(0.05):
                key.data(key.fileobj)
            assert time.monotonic() < last, "the requests do not end"
        return [outcomes[number] for number in range(len(requests))]
