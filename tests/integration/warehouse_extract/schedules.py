"""Random schedules of writers, extractions, kills and restarts against real clusters, the same for every extractor.

A schedule is made from a seed. Whatever happens, after the last writer has ended and one more extraction, the
warehouse must hold exactly the landed records.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import zstandard

from fuel_stat.identity import node_id
from warehouse.errors import ExtractionError

Extractor = Callable[[], None]


@dataclass
class World:
    """The servers and the writers of a schedule. ``extract`` may raise when its source is away."""

    primary: Any
    standby: Any
    database: str
    extract: Extractor
    random: random.Random
    writers: list[psycopg.Connection[Any]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    next_id: int = 0

    def land(self, connection: psycopg.Connection[Any]) -> None:
        """One landed request of one to four records, some of them taken."""
        uid = f"node-of-schedule-{self.random.randrange(5)}"
        size = self.random.randint(1, 4)
        ids = range(self.next_id, self.next_id + size)
        self.next_id += size
        records = [{"master_node_uid": uid, "external_id": n, "body": {"n": n}} for n in ids]
        taken = None
        if size > 1 and self.random.random() < 0.5:
            taken = sorted(self.random.sample(range(size), self.random.randint(1, size)))
        connection.execute(
            "insert into collector.landing (node, uid, kind, records, taken, payload_bytes, payload)"
            " values (%s, %s, 'action_logs', %s, %s, 1, %s)",
            (node_id(uid), uid, size, taken, zstandard.compress(json.dumps(records).encode(), 1)),
        )
        for position in taken if taken is not None else range(size):
            number = ids[position]
            bit = 1 << (number & 63)
            connection.execute(
                "insert into collector.ledger_bitmap as l (node, kind, bucket, bits, fresh)"
                " values (%(node)s, 'action_logs', %(bucket)s, %(bit)s, %(bit)s) on conflict (node, kind, bucket)"
                " do update set bits = l.bits | excluded.bits",
                {"node": node_id(uid), "bucket": number >> 6, "bit": bit - (bit >> 63 << 64)},
            )
        connection.execute(
            "insert into collector.node (node, uid) values (%s, %s) on conflict do nothing",
            (node_id(uid), uid),
        )

    def connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.primary.dsn(self.database, "fuel_admin"))
        # Two writers of one ledger row would wait for each other: the schedule is one thread.
        connection.execute("set lock_timeout = '50ms'")
        connection.commit()
        return connection


def run_schedule(world: World, steps: int = 30) -> None:
    """Random steps, then an orderly end: every writer ends, the standby is there, and one extraction."""
    for _ in range(steps):
        step = world.random.choices(list(STEPS), [weight for weight, _ in STEPS.values()])[0]
        world.done[step] += 1
        STEPS[step][1](world)
    while world.writers:
        _end(world)
    wait_replayed(world)
    world.extract()


def wait_replayed(world: World) -> None:
    """Wait until the standby shows all that the primary has written.

    The insert position counts: a rollback is written later than a commit, and holds the window until then.
    """
    if world.standby is world.primary:
        return
    with psycopg.connect(world.primary.dsn("postgres"), autocommit=True) as connection:
        # A commit flushes all that is before it; a rollback alone would wait for the WAL writer.
        connection.execute("select pg_logical_emit_message(true, 'schedule', '')")
        (lsn,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
    with psycopg.connect(world.standby.dsn("postgres"), autocommit=True) as connection:
        for _ in range(3000):
            row = connection.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone()
            if row and row[0]:
                return
            time.sleep(0.01)
    raise AssertionError("the standby did not catch up")


def _begin(world: World) -> None:
    if len(world.writers) < 4:
        connection = world.connect()
        world.writers.append(connection)
        # A transaction number before any row: later rows of others get lower places and higher numbers.
        connection.execute("select pg_current_xact_id()")
        if world.random.random() < 0.7:
            _write(world)


def _write(world: World) -> None:
    if not world.writers:
        return _quick(world)
    writer = world.random.choice(world.writers)
    try:
        with writer.transaction():
            world.land(writer)
    except psycopg.errors.LockNotAvailable:
        world.done["waited"] += 1
    return None


def _subtransactions(world: World) -> None:
    """Savepoints that are kept and rolled back; sometimes more than a backend keeps in shared memory (64)."""
    if not world.writers:
        return
    writer = world.random.choice(world.writers)
    for _ in range(70 if world.random.random() < 0.15 else 3):
        with contextlib.suppress(psycopg.errors.LockNotAvailable, _BackError), writer.transaction():
            world.land(writer)
            if world.random.random() < 0.4:
                raise _BackError


class _BackError(Exception):
    """Rolls a savepoint back."""


def _end(world: World) -> None:
    if world.writers:
        writer = world.writers.pop(world.random.randrange(len(world.writers)))
        if world.random.random() < 0.3:
            writer.rollback()
        else:
            writer.commit()
        writer.close()


def _quick(world: World) -> None:
    with contextlib.suppress(psycopg.errors.LockNotAvailable), world.connect() as connection:
        world.land(connection)


def _extract(world: World) -> None:
    if world.random.random() < 0.5:
        wait_replayed(world)
    world.extract()


def _killed_extract(world: World) -> None:
    """An extraction in a process of its own that is killed at some moment."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            world.extract()
        finally:
            os._exit(0)
    time.sleep(world.random.random() ** 2 * 0.15)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _restart_standby(world: World) -> None:
    if world.standby is world.primary:
        return
    if world.random.random() < 0.5:
        world.standby.kill()
    else:
        world.standby.stop("immediate")
    if world.random.random() < 0.5:
        with contextlib.suppress(ExtractionError, psycopg.OperationalError):
            world.extract()
    world.standby.start(tied=True)


STEPS: dict[str, tuple[float, Callable[[World], None]]] = {
    "begin": (6, _begin),
    "write": (8, _write),
    "subtransactions": (2, _subtransactions),
    "end": (4, _end),
    "quick": (5, _quick),
    "extract": (5, _extract),
    "killed extract": (2, _killed_extract),
    "restart standby": (0.4, _restart_standby),
}


def landed_records(dsn: str) -> set[tuple[uuid.UUID, int, int]]:
    """What was landed, from the rows themselves: landing, position, external id."""
    found = set()
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select landing_id, records, taken, payload from collector.landing")
        for landing_id, size, taken, payload in rows:
            records = json.loads(zstandard.decompress(payload))
            for position in taken if taken is not None else range(size):
                found.add((landing_id, position, records[position]["external_id"]))
    return found


def raw_records(dsn: str) -> list[tuple[uuid.UUID, int, int]]:
    """What the warehouse has, doubles included."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select landing_id, position, (record ->> 'external_id')::bigint from raw.action_logs"
        )
        return rows.fetchall()
