"""Nodes that a worker has met: the statement that counts on it never loses a contact, a node or a record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fuel_stat.identity import node_id
from ingest_api import statements
from ingest_api.kinds import SHIPPED, Kind, load_kinds
from ingest_api.landing import Landing, compress
from ingest_api.store import Fresh, Store
from tests.conftest import Pair

KINDS = load_kinds([SHIPPED])


@pytest.fixture
def store(collector_pair: Pair) -> Iterator[Store]:
    """A worker's store."""
    store = Store(collector_pair.dsn("fuel_ingest"))
    yield store
    store.close()


def _write(store: Store, kind: Kind, number: int) -> Fresh:
    versions = kind.ledger == "version"
    landing = Landing(
        node_id("met"), "met", 0, 1, 2, compress(b"[]"), [0], [number] if kind.many else [],
        subtypes=["vm"] if versions else (), digests=[b"%016d" % number] if versions else (),
        digest=b"%032d" % number, heard=True,
    )  # fmt: skip
    return store.write(kind, [landing], [])[0]


def _row(pair: Pair, statement: str) -> Any:
    with psycopg.connect(pair.dsn(), autocommit=True) as connection:
        return connection.execute(statement).fetchone()  # type: ignore[arg-type]


def _counts(pair: Pair) -> tuple[int, int, int]:
    return _row(
        pair,
        "select (select count(*) from collector.node), (select count(*) from collector.contact), "
        "(select count(*) from collector.landing)",
    )


@pytest.mark.parametrize("name", ["action_logs", "oswl_stats", "installation_structure"])
def test_a_new_day_is_a_new_contact(store: Store, collector_pair: Pair, name: str) -> None:
    """What was met yesterday is heard from again today, with the request that comes first."""
    kind = KINDS[name]
    first = [_write(store, kind, number) for number in (1, 2)]
    assert all(first)
    assert _counts(collector_pair) == (1, 1, 2)
    _row(collector_pair, "update collector.contact set day = day - 1 returning 1")
    assert _write(store, kind, 3)
    assert _counts(collector_pair) == (1, 2, 3)
    # Nothing new is nothing new, met or not.
    assert _write(store, kind, 3) == {}
    _row(collector_pair, "update collector.contact set day = day - 7 returning 1")
    assert _write(store, kind, 3) == {}
    assert _counts(collector_pair) == (1, 3, 3)


@pytest.mark.parametrize("name", ["action_logs", "oswl_stats", "installation_structure"])
def test_an_erased_node_begins_anew(store: Store, collector_pair: Pair, name: str) -> None:
    """After an erasure a node that is still remembered here gets its row, its contact and its keys again."""
    kind = KINDS[name]
    fresh = [_write(store, kind, 1), _write(store, kind, 2)]
    _row(collector_pair, "select count(*) from collector.erase_node('met')")
    assert _counts(collector_pair) == (0, 0, 0)
    assert _write(store, kind, 1) == fresh[0]
    assert _counts(collector_pair) == (1, 1, 1)


def test_an_unchanged_structure_is_a_contact_each_day(store: Store, collector_pair: Pair) -> None:
    """Where only the digest is compared, the day's first request still leaves its contact, and others write nothing."""
    kind = KINDS["installation_structure"]
    _write(store, kind, 1)
    digest = b"%032d" % 1
    assert store.unchanged(kind, "met", digest, 0)
    assert not store.unchanged(kind, "met", b"%032d" % 2, 0)
    assert _counts(collector_pair) == (1, 1, 1)
    _row(collector_pair, "update collector.contact set day = day - 1 returning 1")
    assert store.unchanged(kind, "met", digest, 0)
    assert _counts(collector_pair) == (1, 2, 1)
    before = _row(collector_pair, "select pg_current_wal_insert_lsn()")
    assert store.unchanged(kind, "met", digest, 0)
    assert _row(collector_pair, "select pg_current_wal_insert_lsn()") == before


@pytest.mark.parametrize("twin", ["BITMAP", "VERSION", "LATEST", "UNCHANGED"])
def test_contacts_are_looked_up_by_day(collector_pair: Pair, twin: str) -> None:
    """However many days a node was heard from, one of them is read: the day is part of the index's condition."""
    for statement in getattr(statements, twin):
        with psycopg.connect(
            collector_pair.dsn("fuel_ingest"), options="-c enable_seqscan=off"
        ) as connection:
            connection.execute("set plan_cache_mode = force_generic_plan")
            connection.execute(b"prepare hot as " + statement.text)
            nulls = ", ".join(["null"] * len(statement.parameters))
            plan = "\n".join(row[0] for row in connection.execute(f"explain execute hot ({nulls})"))  # type: ignore[call-overload]
        looks = plan.split("contact_pkey")[1:]
        assert looks, plan
        assert all(
            re.match(r"[^\n]*\n\s+Index Cond: \(\(?node = .* AND \(?day = ", look) for look in looks
        ), plan
