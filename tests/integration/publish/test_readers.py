"""Readers during the switch: no error, no mixture, no long wait."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from warehouse import publish, publish_views

BOTH = (
    "select min(version), max(version), count(*)"
    " from (select * from marts.dim_thing union all select * from marts.fct_thing) as u"
)


class Reader(threading.Thread):
    """Reads both tables in one statement, over and over, as the API's role."""

    def __init__(self, dsn: str, stop: threading.Event, *, repeatable: bool) -> None:
        super().__init__()
        self.dsn, self.stop, self.repeatable = dsn, stop, repeatable
        self.problems: list[str] = []
        self.reads = 0
        self.slowest = 0.0

    def run(self) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=not self.repeatable) as connection:
                if self.repeatable:
                    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                while not self.stop.is_set():
                    self.look(connection)
        except psycopg.Error as error:
            self.problems.append(f"error: {error}")

    def look(self, connection: psycopg.Connection) -> None:
        started = time.monotonic()
        first = connection.execute(BOTH.encode()).fetchone()
        if self.repeatable:
            time.sleep(0.01)
            if connection.execute(BOTH.encode()).fetchone() != first:
                self.problems.append("a repeatable reader saw two versions")
            connection.rollback()
        low, high, rows = first
        if low != high or rows != 100:
            self.problems.append(f"a mixture: {first}")
        self.reads += 1
        self.slowest = max(self.slowest, time.monotonic() - started)


def test_readers_never_see_an_error_or_a_mixture_during_switches(warehouse):
    """Four readers read two tables in one statement through twenty-five publications and rollbacks."""
    warehouse.publish()
    stop = threading.Event()
    readers = [Reader(warehouse.reader_dsn, stop, repeatable=number % 2 == 1) for number in range(4)]
    for reader in readers:
        reader.start()
    try:
        for version in range(2, 27):
            warehouse.build(version)
            warehouse.publish()
            if version % 5 == 0:
                publish.rollback(warehouse.connection)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert [problem for reader in readers for problem in reader.problems] == []
    assert all(reader.reads > 20 for reader in readers)
    assert max(reader.slowest for reader in readers) < 5


def test_a_long_reader_does_not_hold_up_a_switch(warehouse):
    """While the columns stay, publishing takes no lock that a reader has: an open transaction keeps its version."""
    warehouse.publish()
    with psycopg.connect(warehouse.reader_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert reader.execute(BOTH.encode()).fetchone() == (1, 1, 100)
        warehouse.build(2)
        started = time.monotonic()
        warehouse.publish()
        assert time.monotonic() - started < 5
        assert reader.execute(BOTH.encode()).fetchone() == (1, 1, 100)
    assert warehouse.seen() == (2, 2, 50)


def test_a_change_of_columns_waits_in_short_attempts_and_never_queues_readers(warehouse, monkeypatch):
    """A reader that holds a changed view delays the switch up to the timeout; others read on; afterwards it works."""
    warehouse.publish()
    warehouse.connection.execute("alter table build.fct_thing add column label text")
    staged = warehouse.audited()

    def switch() -> None:
        publish.switch(
            warehouse.connection,
            staged,
            before=lambda: publish_views.bring_in_line(warehouse.connection, ["dim_thing", "fct_thing"]),
        )

    monkeypatch.setattr(publish.with_lock_timeout, "__kwdefaults__", {"timeout": 0.2, "attempts": 2})
    with psycopg.connect(warehouse.reader_dsn) as holder:
        holder.execute("select count(*) from marts.fct_thing")
        started = time.monotonic()
        with pytest.raises(publish.PublicationError) as refused:
            switch()
        assert refused.value.code == "lock_timeout"
        assert time.monotonic() - started < 5
        assert warehouse.seen() == (1, 1, 50)
    switch()
    assert warehouse.seen("select count(*) from marts.fct_thing where label is null") == (50,)
