"""Requests that come together share a commit; none suffers from what another sent, or from what the server does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from fuel_stat.identity import node_id
from ingest_api.errors import StoreRefusedError, StoreUnavailableError
from ingest_api.hub import Hub
from ingest_api.kinds import SHIPPED, load_kinds
from ingest_api.landing import Landing, compress
from ingest_api.store import Fresh, Store
from tests.conftest import Pair
from tests.integration.ingest.loop import Loop
from tests.integration.ingest.test_operations import wait_for

KINDS = load_kinds([SHIPPED])


@contextmanager
def _loop(dsn: str, statement_seconds: float = 10.0) -> Iterator[tuple[Loop, Store]]:
    with Loop() as loop:
        store = Store(dsn, statement_seconds)
        loop.closes.append(store.close)
        yield loop, store


def _landing(uid: str, ids: list[int]) -> Landing:
    places = range(len(ids))
    return Landing(node_id(uid), uid, 0, len(ids), 2, compress(b"[]"), places, ids, digest=b"", heard=True)


def _writes(store: Store, uid: str, *ids: int) -> Callable[[Hub], Fresh]:
    return lambda _: store.write(KINDS["action_logs"], [_landing(uid, list(ids))], [])[0]


def _rows(pair: Pair, statement: str) -> list[Any]:
    with psycopg.connect(pair.dsn(), autocommit=True) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def _landed(pair: Pair) -> list[tuple[str, int]]:
    return _rows(pair, "select uid, count(*) from collector.landing group by uid order by uid")


def _backends(pair: Pair) -> list[int]:
    statement = (
        "select pid from pg_stat_activity where application_name = 'ingest_api' "
        f"and datname = '{pair.database}' order by backend_start"
    )
    return [pid for (pid,) in _rows(pair, statement)]


def test_requests_of_one_turn_share_a_commit(collector_pair: Pair) -> None:
    """Twelve requests at once are one transaction on one connection, and each gets its own rows."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        outcomes = loop.run(*[_writes(store, f"node-{number}", number) for number in range(12)])
        assert len(_backends(collector_pair)) == 1
    assert outcomes == [{0: 1 << number} for number in range(12)]
    assert _rows(collector_pair, "select count(*), count(distinct xid) from collector.landing") == [(12, 1)]


def test_a_node_that_sends_twice_at_once_is_counted_once(collector_pair: Pair) -> None:
    """The second of two equal requests in one transaction finds that everything is known."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        outcomes = loop.run(_writes(store, "twice", 1, 2), _writes(store, "twice", 1, 2, 3))
    assert outcomes == [{0: 0b110}, {0: 0b1000}]
    assert _rows(collector_pair, "select records, taken from collector.landing order by records") == [
        (2, None),
        (3, [2]),
    ]


def test_what_is_refused_is_refused_alone(collector_pair: Pair) -> None:
    """A statement with values that the database refuses fails; those beside it are committed, once."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        outcomes = loop.run(
            _writes(store, "first", 1), _writes(store, "broken", 2**80), _writes(store, "last", 1)
        )
        assert isinstance(outcomes[1], StoreRefusedError)
        assert [outcomes[0], outcomes[2]] == [{0: 2}, {0: 2}]
        assert _landed(collector_pair) == [("first", 1), ("last", 1)]
        assert loop.run(_writes(store, "after", 1)) == [{0: 2}]


def test_a_connection_that_dies_with_requests_on_it_loses_none(collector_pair: Pair) -> None:
    """The backend is ended while three requests wait in it: all are sent again on a new connection, and landed once."""
    with (
        _loop(collector_pair.dsn("fuel_ingest")) as (loop, store),
        psycopg.connect(collector_pair.dsn()) as holder,
    ):
        loop.run(_writes(store, "before", 1))
        (first,) = _backends(collector_pair)
        holder.execute("lock table collector.ledger_bitmap in access exclusive mode")

        def kill() -> None:
            waits = f"select 1 from pg_stat_activity where pid = {first} and wait_event_type = 'Lock'"
            wait_for(lambda: bool(_rows(collector_pair, waits)))
            _rows(collector_pair, f"select pg_terminate_backend({first}, 5000)")
            holder.rollback()

        killer = threading.Thread(target=kill)
        killer.start()
        outcomes = loop.run(*[_writes(store, f"node-{number}", 1) for number in range(3)])
        killer.join()
        assert outcomes == [{0: 2}] * 3
        assert first not in _backends(collector_pair)
    assert _landed(collector_pair) == [("before", 1), ("node-0", 1), ("node-1", 1), ("node-2", 1)]


def test_a_server_that_is_silent_is_given_up(collector_pair: Pair) -> None:
    """A backend that does not answer any more is left; what it commits when it wakes up after all counts once."""
    with _loop(collector_pair.dsn("fuel_ingest"), statement_seconds=0.5) as (loop, store):
        loop.run(_writes(store, "before", 1))
        (first,) = _backends(collector_pair)
        os.kill(first, signal.SIGSTOP)
        try:
            assert loop.run(_writes(store, "silent", 1)) == [{0: 2}]
        finally:
            os.kill(first, signal.SIGCONT)
        wait_for(lambda: first not in _backends(collector_pair))
    assert _landed(collector_pair) == [("before", 1), ("silent", 1)]


def test_a_server_that_cannot_be_reached_is_said_to_be(tmp_path: Any) -> None:
    """Every request of the turn is told so; none waits for ever."""
    with _loop(f"host={tmp_path} dbname=collector user=fuel_ingest") as (loop, store):
        outcomes = loop.run(*[_writes(store, f"node-{number}", 1) for number in range(3)])
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 3


def test_statements_that_are_gone_are_made_again(collector_pair: Pair) -> None:
    """A pooler in between, or a DISCARD ALL: the shared connection prepares its statements anew."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        loop.run(_writes(store, "one", 1))
        store._shared._pipeline._connection.pgconn.send_query_params(b"deallocate all", None)  # type: ignore[union-attr]
        store._shared._pipeline._connection.pgconn.pipeline_sync()  # type: ignore[union-attr]
        outcomes = loop.run(*[_writes(store, uid, 1) for uid in ("two", "three")])
    assert outcomes == [{0: 2}] * 2


def test_many_wait_for_the_next_turn(collector_pair: Pair) -> None:
    """More requests than share a transaction: all are answered, in as many transactions as it takes."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        outcomes = loop.run(*[_writes(store, f"node-{number}", 1) for number in range(150)])
    assert outcomes == [{0: 2}] * 150
    assert _rows(collector_pair, "select count(*), count(distinct xid) from collector.landing") == [(150, 3)]


def test_other_work_is_done_aside(collector_pair: Pair) -> None:
    """What needs more than one statement has another connection, and the loop does not wait for it."""
    with _loop(collector_pair.dsn("fuel_ingest")) as (loop, store):
        assert loop.run(lambda _: store.is_known("nobody"), _writes(store, "somebody", 1)) == [False, {0: 2}]
        assert loop.run(lambda _: store.is_known("somebody")) == [True]
