"""Taking over an original collector's database: counts and content per table, dates, decisions, kills."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fuel_stat.identity import installation_key
from fuel_stat.postgres import ensure_database
from warehouse.errors import LegacyImportError
from warehouse.extract import Options, run_extract
from warehouse.integrity import check_integrity
from warehouse.legacy import run_legacy_import

TABLES = {
    "action_logs": (
        "id bigint primary key, master_node_uid text, external_id bigint, body json, action_name text, action_type text"
    ),
    "installation_structures": (
        "id bigint primary key, master_node_uid text unique, structure json, creation_date timestamp,"
        " modification_date timestamp, is_filtered boolean, release text"
    ),
    "oswl_stats": (
        "id bigint primary key, master_node_uid text, external_id bigint, cluster_id bigint, created_date date,"
        " updated_time time, resource_type text, resource_data json, resource_checksum text, version_info json"
    ),
}


def golden(recorded: Path, table: str) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with gzip.open(recorded / "golden" / "tables" / f"{table}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def original(recorded: Path, collector_pair: Any) -> Iterator[str]:
    """A database as an original collector has it, with the golden tables."""
    name = f"{collector_pair.database}_original"
    ensure_database(collector_pair.primary.dsn("postgres"), name, "fuel_admin")
    dsn = collector_pair.primary.dsn(name, "fuel_admin")
    with psycopg.connect(dsn) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"create table {table} ({columns})")
            with (
                connection.cursor() as cursor,
                cursor.copy(f"copy {table} from stdin (format csv, header)") as copy,
                gzip.open(recorded / "golden" / "tables" / f"{table}.csv.gz") as file,
            ):
                copy.write(file.read())
    yield dsn
    with psycopg.connect(collector_pair.primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def scrubbed(value: Any, uid: str, key: str) -> Any:
    return json.loads(json.dumps(value).replace(uid, key))


def same(text: str) -> Any:
    return json.loads(text)


@pytest.mark.slow
def test_the_golden_tables_arrive_whole(
    original: str, recorded: Path, collector_pair: Any, analytic_db: Any, pepper: bytes
) -> None:
    """Counts and content per table are equal after import and extraction; dates and decisions are the original's;
    the import is killed halfway and started again, and a third run lands nothing."""

    class KilledError(Exception):
        pass

    def kill(table: str, done: int, total: int) -> None:
        if table == "action_logs" and done >= 3000:
            raise KilledError

    admin = collector_pair.dsn("fuel_admin")
    with pytest.raises(KilledError):
        run_legacy_import(original, admin, redact=bytes, progress=kill)
    report = run_legacy_import(original, admin, redact=bytes)
    counts = {"installation_structures": 80, "action_logs": 7280, "oswl_stats": 735}
    assert report.read == report.landed == counts
    assert run_legacy_import(original, admin, redact=bytes) == report
    collector_pair.wait_replayed()
    standby, warehouse = collector_pair.dsn("fuel_extract", standby=True), analytic_db.dsn("fuel_warehouse")
    loaded = run_extract(standby, warehouse, pepper, options=Options(chunk_landings=1500))
    assert (loaded.records, loaded.unreadable) == (sum(counts.values()), 0)
    with psycopg.connect(warehouse) as connection:
        _actions_equal(connection, golden(recorded, "action_logs"), pepper)
        _workloads_equal(connection, golden(recorded, "oswl_stats"), pepper)
        _structures_equal(connection, golden(recorded, "installation_structures"), pepper)
    assert check_integrity(standby, warehouse, pepper).mismatches == ()


def _actions_equal(connection: Any, rows: list[dict[str, str]], pepper: bytes) -> None:
    found = {
        (key, record["external_id"]): (record, received_at)
        for key, record, received_at in connection.execute(
            "select installation_key, record, received_at from raw.action_logs"
        )
    }
    assert len(found) == len(rows)
    for row in rows:
        uid = row["master_node_uid"]
        key = installation_key(pepper, uid)
        record, received_at = found[key, int(row["external_id"])]
        assert record == {
            "external_id": int(row["external_id"]), "body": scrubbed(same(row["body"]), uid, str(key))
        }  # fmt: skip
        ended = datetime.fromisoformat(record["body"]["end_timestamp"]).replace(tzinfo=UTC)
        assert received_at.date() == ended.date()
        assert received_at >= ended


def _workloads_equal(connection: Any, rows: list[dict[str, str]], pepper: bytes) -> None:
    found = {
        (key, record["id"], record["resource_type"]): record
        for key, record in connection.execute("select installation_key, record from raw.oswl_stats")
    }
    assert len(found) == len(rows)
    for row in rows:
        record = found[
            installation_key(pepper, row["master_node_uid"]), int(row["external_id"]), row["resource_type"]
        ]
        expected = {
            "id": int(row["external_id"]), "cluster_id": int(row["cluster_id"]), "created_date": row["created_date"],
            "updated_time": row["updated_time"], "resource_type": row["resource_type"],
            "resource_checksum": row["resource_checksum"], "resource_data": same(row["resource_data"]),
        }  # fmt: skip
        if row["version_info"]:
            expected["version_info"] = same(row["version_info"])
        assert record == expected


def _structures_equal(connection: Any, rows: list[dict[str, str]], pepper: bytes) -> None:
    structures = dict(connection.execute("select installation_key, record from raw.installation_structure"))
    received = dict(
        connection.execute("select installation_key, received_at from raw.installation_structure")
    )
    decisions = {
        key: (is_filtered, source)
        for key, is_filtered, source in connection.execute(
            "select installation_key, is_filtered, source from raw.installation_decision"
        )
    }
    contacts: dict[Any, set[datetime]] = {}
    for key, first_at in connection.execute("select installation_key, first_at from raw.contact"):
        contacts.setdefault(key, set()).add(first_at)
    assert len(structures) == len(rows)
    meaning = {"t": (True, "legacy"), "f": (False, "legacy"), "": (False, "legacy-undecided")}
    for row in rows:
        uid = row["master_node_uid"]
        key = installation_key(pepper, uid)
        expected = same(row["structure"])
        expected.pop("master_node_uid", None)
        assert structures[key] == scrubbed(expected, uid, str(key))
        assert decisions[key] == meaning[row["is_filtered"]]
        created = datetime.fromisoformat(row["creation_date"]).replace(tzinfo=UTC)
        modified = row["modification_date"] and datetime.fromisoformat(row["modification_date"]).replace(
            tzinfo=UTC
        )
        assert received[key] == (modified or created)
        assert min(contacts[key]) == created
        if modified and modified.date() != created.date():
            assert contacts[key] == {created, modified}


def test_an_import_redacts_as_the_collector_does(original: str, collector_pair: Any, collector: Any) -> None:
    """Every document passes the redaction before it is landed."""
    with psycopg.connect(original) as connection:
        connection.execute("delete from action_logs where id not in (select id from action_logs limit 3)")
        connection.execute("truncate oswl_stats")
    seen: list[bytes] = []

    def redact(text: bytes) -> bytes:
        seen.append(text)
        return text

    report = run_legacy_import(original, collector.dsn, redact=redact)
    assert sum(report.landed.values()) == 83
    with collector.connect() as connection:
        (landings,) = connection.execute("select count(*) from collector.landing").fetchone()
    assert len(seen) == landings


def test_another_database_is_refused(collector: Any) -> None:
    """A database without the original's tables is refused with the columns that are missing."""
    with pytest.raises(LegacyImportError) as caught:
        run_legacy_import(collector.dsn, collector.dsn, redact=bytes)
    assert caught.value.code == "not_an_original"
