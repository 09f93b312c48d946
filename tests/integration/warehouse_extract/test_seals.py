"""The seal of raw's content: what it notices, what is the same to it, and that seals survive a change of its hash."""

from __future__ import annotations

import json
import subprocess
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from fuel_stat import migrations
from warehouse.load import seal

BEFORE_BYTES = "0060"
LANDING = uuid.UUID(int=7)
HASH = "select ops.record_hash(%s, %s, %s::text::jsonb)"
# The same hash of every part, added up by place, would not notice these: parts that change places, parts that
# change alike, numbers that are equal but not written alike, and what lies beyond the first page of a large record.
LIST = [*range(64)]
CHANGES = {
    "a value": ({"a": 1}, {"a": 2}),
    "a name": ({"a": 1}, {"b": 1}),
    "a type": ({"a": 1}, {"a": "1"}),
    "nothing for null": ({"a": None}, {}),
    "a digit": ({"a": 1.0}, {"a": 1}),
    "depth": ([[1], 2], [[1, 2]]),
    "places": (LIST, [LIST[32], *LIST[1:32], LIST[0], *LIST[33:]]),
    "all alike": ([0] * 64, [1] * 64),
    "the end of a large record": ({"a": "x" * 100_000 + "y"}, {"a": "x" * 100_000 + "z"}),
    "large and incompressible": (
        [uuid.UUID(int=n * 2**64).hex for n in range(4000)],
        [uuid.UUID(int=n * 2**64 + (n == 3999)).hex for n in range(4000)],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_record_changes_its_hash(analytic_db: Any, change: str) -> None:
    """Whatever of a stored record is altered, its hash is another; so it is for another landing or position."""
    with psycopg.connect(analytic_db.dsn("fuel_warehouse")) as connection:
        before, after = (
            connection.execute(HASH, (LANDING, 0, json.dumps(record))).fetchone()
            for record in CHANGES[change]
        )
        assert before != after
        for place in ((LANDING, 1), (uuid.UUID(int=8), 0)):
            elsewhere = connection.execute(HASH, (*place, json.dumps(CHANGES[change][0]))).fetchone()
            assert elsewhere != before


def test_the_same_record_has_the_same_hash_however_it_is_stored(analytic_db: Any) -> None:
    """Order of names, spaces and doubled names in the text, compression and storage beside the row, and a round trip
    as text play no part."""
    record = {"b": [1, 2.50, {"z": None}], "aa": "ü" * 9000, "c": [uuid.uuid4().hex for _ in range(300)]}
    text = json.dumps(record)
    shuffled = '{"c": 0, ' + json.dumps(dict(reversed(record.items())), indent=3)[1:]
    with psycopg.connect(analytic_db.dsn("fuel_warehouse")) as connection:
        expected = connection.execute(HASH, (LANDING, 0, text)).fetchone()
        assert connection.execute(HASH, (LANDING, 0, shuffled)).fetchone() == expected
        for storage in ("plain", "main", "extended", "external"):
            name = f"stored_{storage}"
            connection.execute(f"create temporary table {name} (record jsonb)")
            connection.execute(f"alter table {name} alter column record set storage {storage}")
            small = text if storage != "plain" else '{"a": 1}'
            connection.execute(f"insert into {name} select %s::text::jsonb", (small,))
            stored = connection.execute(
                f"select ops.record_hash(%s, 0, record), ops.record_hash(%s, 0, record::text::jsonb) from {name}",
                (LANDING, LANDING),
            ).fetchone()
            assert stored == connection.execute(HASH, (LANDING, 0, small)).fetchone() * 2


def test_the_hash_is_the_same_on_every_server(analytic_db: Any) -> None:
    """It is a fixed number whatever the version of Postgres: a warehouse may move to a newer one and keep its seals."""
    text = '{"b": [1, 2.50, -1e20, "x", null, true, {}], "aa": {"deep": [[]]}}'
    with psycopg.connect(analytic_db.dsn("fuel_warehouse")) as connection:
        assert connection.execute(HASH, (LANDING, 3, text)).fetchone() == (6278264628481180879,)


def sealed_and_altered(dsn: str) -> None:
    """Records on two days, sealed as a load seals them; one of the second is then altered behind its back."""
    with psycopg.connect(dsn) as connection:
        for day in (1, 2):
            connection.execute("insert into ops.load default values")
            for position in range(20):
                record = {"external_id": position, "n": [1, {"a": 2.5}], "long": "x" * 300 * position}
                connection.execute(
                    "insert into raw.action_logs values (%s, %s, %s, %s, %s, 0, %s::text::jsonb)",
                    (
                        uuid.UUID(int=day), position, day, LANDING,
                        datetime(2026, 11, day, 12, tzinfo=UTC), json.dumps(record),
                    ),
                )  # fmt: skip
            seal(connection, day, "action_logs")
        connection.execute(
            "update raw.action_logs set record = record || '{\"n\": 0}' where load_id = 2 and position = 3"
        )


def differences(dsn: str) -> dict[int, int]:
    """By day of the month: what the hashes of raw's records add up to, less the seal."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select s.received_day, (select sum(ops.record_hash(landing_id, position, record)) from raw.action_logs"
            " where (received_at at time zone 'UTC')::date = s.received_day) - s.record_hash from ops.raw_seal as s"
        ).fetchall()
    return {day.day: int(difference) for day, difference in rows}


def test_seals_of_a_warehouse_from_before_stay_right(analytic_db: Any) -> None:
    """A migration carries seals over, both ways: what was intact is intact, what had been altered behind the seal's
    back is not made good by it."""
    dsn, superuser = analytic_db.dsn("fuel_warehouse"), analytic_db.dsn()
    migrations.downgrade(superuser, "analytic", BEFORE_BYTES)
    sealed_and_altered(dsn)
    before = differences(dsn)
    assert before[1] == 0
    assert before[2] != 0
    migrations.upgrade(superuser, "analytic")
    assert differences(dsn) == before
    migrations.downgrade(superuser, "analytic", BEFORE_BYTES)
    assert differences(dsn) == before


def test_seals_survive_a_dump(analytic_db: Any, analytic_cluster: Any, binaries: Any) -> None:
    """A warehouse that is dumped and restored as SQL agrees with its seals as before, and differs where it did."""
    sealed_and_altered(analytic_db.dsn("fuel_warehouse"))
    before = differences(analytic_db.dsn("fuel_warehouse"))
    assert before[1] == 0
    assert before[2] != 0
    name = f"restored_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(analytic_cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            dump = subprocess.run(
                [binaries.program("pg_dump"), "--dbname", analytic_db.dsn()], check=True, capture_output=True
            )
            subprocess.run(
                [binaries.program("psql"), "-qv", "ON_ERROR_STOP=1", "--dbname", analytic_cluster.dsn(name)],
                input=dump.stdout, check=True, capture_output=True,
            )  # fmt: skip
            assert differences(analytic_cluster.dsn(name)) == before
        finally:
            connection.execute(f"drop database if exists {name} with (force)")
