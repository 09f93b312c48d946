"""A backlog of several chunks is loaded on two lanes, so that both ends keep working.

Each lane is a thread with a snapshot of its own on the standby and a connection of its own to the analytic database,
and loads whole chunks. Only the rows of neighbouring chunks are copied at the same time: what chunks share (seals,
contacts, decisions, the watermark) is written after the chunk before has committed, so that commits keep the order of
the chunks and a killed run leaves a prefix of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from warehouse.extract_chunk import Chunk, ChunkResult, load_chunk
from warehouse.extract_source import Source, open_source
from warehouse.load import Pseudonyms, kinds_in_raw, reserve_load, table_of

LANES = 2
Describe = Callable[[psycopg.Connection[Any], Source, int, int], Chunk]


@dataclass(frozen=True)
class Lanes:
    """Where the lanes read and write, and how a chunk is described (holder of the window, alarms)."""

    standby_dsn: str
    warehouse_dsn: str
    pseudonyms: Pseudonyms
    describe: Describe

    def load(
        self, connection: psycopg.Connection[Any], position: int, target: int, chunk_landings: int
    ) -> Iterator[ChunkResult]:
        """Load ``[position, target)``; yields what each chunk brought, in order, after it has committed.

        Args:
            connection: the run's own, which holds the extraction's lock.

        Raises:
            psycopg.Error: of the first chunk that failed; neither it nor any later one has left anything.
        """
        waiting: deque[Future[ChunkResult]] = deque()
        before: Future[ChunkResult] | None = None
        with ThreadPoolExecutor(LANES, thread_name_prefix="lane") as pool:
            while waiting or position < target:
                while len(waiting) < LANES and position < target:
                    end = self._cut(connection, position, target, chunk_landings)
                    # Reserved here, so that the loads' numbers have the chunks' order.
                    load_id = reserve_load(connection)
                    before = pool.submit(self._lane, position, end, load_id, before)
                    waiting.append(before)
                    position = end
                yield waiting.popleft().result()

    def _cut(
        self, connection: psycopg.Connection[Any], position: int, target: int, chunk_landings: int
    ) -> int:
        """Where the next chunk ends. Its kinds get their tables now: two lanes making one would wait for each other."""
        with open_source(self.standby_dsn) as source:
            end = source.cut(position, target, chunk_landings)
            for kind in source.kinds(position, end) - set(kinds_in_raw(connection)):
                table_of(connection, kind)
        return end

    def _lane(self, position: int, end: int, load_id: int, before: Future[ChunkResult] | None) -> ChunkResult:
        with (
            open_source(self.standby_dsn) as source,
            _connect(self.warehouse_dsn) as connection,
        ):
            chunk = self.describe(connection, source, position, end)
            return load_chunk(
                connection,
                self.warehouse_dsn,
                source,
                chunk,
                self.pseudonyms,
                load_id=load_id,
                turn=lambda: _wait_for(before),
            )


def _wait_for(before: Future[ChunkResult] | None) -> None:
    """The chunk before has committed; where it failed, this one fails with it."""
    if before is not None:
        before.result()


@contextmanager
def _connect(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True, application_name="fuel-stat load lane") as connection:
        connection.execute("set timezone to 'UTC'")
        yield connection
