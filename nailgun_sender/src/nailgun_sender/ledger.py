"""What the writer does to the database: batches, its session, and those that died before it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import clock
from .observation import Observation, Request, Task, TaskFinished, TaskStarted
from .rows import Row, RowMaker
from .settings import Settings
from .store import Store
from .store.upsert import count, insert_or_ignore

ORPHANED = "orphaned"
_ROWS_A_BREATH = 10
_PATIENCE = 30.0  # seconds in which another process should have written a task's start


@dataclass
class Batch:
    """Rows and task ends of one transaction.

    ``settled`` is how many accepted records this batch accounts for, written or not; ``accepted``
    and ``dropped`` are the session's totals when it was made; ``number`` grows by one a batch
    within a session.
    """

    number: int
    new: list[Row] = field(default_factory=list)
    ends: list[TaskFinished] = field(default_factory=list)
    settled: int = 0
    accepted: int = 0
    dropped: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    waiting: list[TaskFinished] = field(default_factory=list)
    unknown_tasks: int = 0
    repeated_ends: int = 0

    def count(self, name: str, by: int = 1) -> None:
        """Have a counter grow when this batch is committed."""
        self.counted[name] = self.counted.get(name, 0) + by

    def add(self, seen: Observation, rows: RowMaker) -> None:
        """Take up one observation."""
        if isinstance(seen, Request):
            row = rows.request(seen)
            if row is None:
                self.count("skipped_unmapped")
            else:
                self.new.append(row)
        elif isinstance(seen, TaskStarted):
            self.new.append(rows.started(seen.task))
        else:
            if isinstance(seen.task, Task):
                # its start may have been dropped: then the end brings the whole task
                self.new.append(rows.started(seen.task))
            self.ends.append(seen)


class Ledger:
    """One process's session in the database. Not thread-safe: it belongs to the writer."""

    def __init__(self, store: Store, session: str, settings: Settings) -> None:
        self.store = store
        self.session = session
        self._settings = settings
        self._names = store.tables

    def begin(self, tally_path: str | None, started: Any) -> None:
        """Enter this process's session; harmless when done again."""
        row = {
            "id": self.session,
            "host": clock.host_name(),
            "boot": clock.boot_id(),
            "pid": os.getpid(),
            "process_start": clock.process_start(os.getpid()) or "unknown",
            "capacity": self._settings.queue_size,
            "tally_path": tally_path,
            "started_at": started,
            "seen_at": clock.now(),
        }
        with self.store.write() as connection:
            insert_or_ignore(connection, self._names.sessions, [row])

    def commit(self, batch: Batch, rows: RowMaker) -> None:
        """Write a batch, its counters and the session's figures in one transaction.

        A batch tried again after an unclear commit changes nothing: the session row remembers the
        number of the last one. Ends of tasks that are not there yet (another process's writer may
        be about to write the start) are left in ``batch.waiting`` and are not settled.
        """
        with self.store.write() as connection:
            sessions = self._names.sessions
            mine = sessions.c.id == self.session
            claimed = connection.execute(
                sessions.update()
                .where(mine, sessions.c.last_batch < batch.number)
                .values(last_batch=batch.number, seen_at=clock.now())
            )
            if claimed.rowcount == 0:
                return
            batch.waiting, batch.unknown_tasks, batch.repeated_ends = [], 0, 0
            self._insert(connection, batch.new)
            for finished in batch.ends:
                self._end(connection, finished, rows, batch)
            ends = {"task_ends_without_task": batch.unknown_tasks, "task_ends_repeated": batch.repeated_ends}
            count(connection, self._names.counters, {**batch.counted, **ends})
            connection.execute(
                sessions.update()
                .where(mine)
                .values(
                    accepted=batch.accepted,
                    dropped=batch.dropped,
                    written=sessions.c.written + batch.settled - len(batch.waiting),
                )
            )

    def beat(self, closed: bool = False) -> None:
        """Show that this process lives, or that it ended in good order."""
        sessions = self._names.sessions
        with self.store.write() as connection:
            connection.execute(
                sessions.update()
                .where(sessions.c.id == self.session)
                .values(seen_at=clock.now(), closed_at=clock.now() if closed else None)
            )

    def _insert(self, connection: Connection, new: Sequence[Row]) -> None:
        # One statement a shape of row, so that each is sent to the driver as a batch; but a large one takes the
        # interpreter for milliseconds to prepare, and the host's threads would wait for that.
        for kind in ("http_request", "nailgun_task"):
            rows = [row for row in new if row["action_type"] == kind]
            for start in range(0, len(rows), _ROWS_A_BREATH):
                if start:
                    time.sleep(self._settings.breath)
                insert_or_ignore(connection, self._names.actions, rows[start : start + _ROWS_A_BREATH])

    def _end(self, connection: Connection, finished: TaskFinished, rows: RowMaker, batch: Batch) -> None:
        table = self._names.actions
        task_uuid = finished.task if isinstance(finished.task, str) else finished.task.task_uuid
        found = connection.execute(sa.select(table).where(table.c.task_uuid == task_uuid)).mappings().first()
        if found is None:
            if clock.Moment.now().steady - finished.end.steady < _PATIENCE:
                batch.waiting.append(finished)
            else:
                batch.unknown_tasks += 1
            return
        if found["end_timestamp"] is not None and (found["owner_session"] != ORPHANED or found["is_sent"]):
            batch.repeated_ends += 1  # the first end counts
            return
        info = rows.end_info(finished, found["additional_info"].get("operation", ""))
        info["parent_task_id"] = self._row_id(connection, found["parent_uuid"])
        info["subtasks_ids"] = self._subtasks(connection, task_uuid)
        start, end = found["start_timestamp"], _task_end(dict(found), finished)
        connection.execute(
            table.update()
            .where(table.c.id == found["id"])
            .values(
                end_timestamp=end,
                duration_ms=(end - start).total_seconds() * 1000,
                additional_info=info,
                owner_session=None,
                version=table.c.version + 1,
            )
        )

    def _row_id(self, connection: Connection, task_uuid: str | None) -> int | None:
        if task_uuid is None:
            return None
        table = self._names.actions
        return connection.execute(sa.select(table.c.id).where(table.c.task_uuid == task_uuid)).scalar()

    def _subtasks(self, connection: Connection, task_uuid: str) -> list[int]:
        table = self._names.actions
        found = connection.execute(
            sa.select(table.c.id).where(table.c.parent_uuid == task_uuid).order_by(table.c.id)
        )
        return list(found.scalars())


def _task_end(found: Mapping[Any, Any], finished: TaskFinished) -> Any:
    start = found["start_timestamp"]
    if found["start_boot"] == finished.boot and found["start_steady"] is not None:
        wall = (start - clock.naive_utc(0)).total_seconds()
        began = clock.Moment(wall, found["start_steady"])
        return clock.ended_at(began, finished.end.steady)
    # the machine was booted in between: only the wall clock remains, never before the start
    return max(start, clock.naive_utc(finished.end.wall))


def new_session() -> str:
    """Name a new session."""
    return str(uuid.uuid4())
