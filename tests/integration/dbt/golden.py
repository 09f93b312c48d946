"""The recorded tables of an original collector as the import lands them, and its CSV cells from models.

The cells follow the original's columns: the dotted path of a header names keys and list positions, ``count`` the
length of a list, and a list at a leaf is its values joined by a space.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import io
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

LOAD = 1


def table(recorded: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of one of the original's tables; an empty string is its null."""
    csv.field_size_limit(sys.maxsize)
    with gzip.open(recorded / "golden" / "tables" / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def output(recorded: Path, name: str) -> str:
    """What the original answered."""
    return gzip.decompress((recorded / "golden" / "outputs" / f"{name}.gz").read_bytes()).decode()


def output_rows(recorded: Path, report: str) -> list[dict[str, str]]:
    """The lines of one of the original's CSV reports."""
    return list(csv.DictReader(io.StringIO(output(recorded, f"{report}.csv"), newline="")))


def pseudonym(pepper: bytes, uid: str) -> uuid.UUID:
    """The key under which the warehouse knows a node."""
    return uuid.UUID(bytes=hmac.new(pepper, uid.encode(), hashlib.sha256).digest()[:16])


def land(dsn: str, recorded: Path, pepper: bytes) -> None:
    """Fill raw with the original's tables as one load: each record received near its own date."""
    structures = list(table(recorded, "installation_structures"))
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into ops.load (load_id, reason) overriding system value values (%s, 'import')", (LOAD,)
        )
        cursor.execute("insert into ops.pinned_load values (%s, true, 0)", (LOAD,))
        for kind, rows in (
            ("installation_structure", map(_structure, structures)),
            ("action_logs", map(_action, table(recorded, "action_logs"))),
            ("oswl_stats", map(_workload, table(recorded, "oswl_stats"))),
        ):
            with cursor.copy(f"copy raw.{kind} from stdin") as copy:
                for uid, received_at, record in rows:
                    key = pseudonym(pepper, uid)
                    copy.write_row((uuid.uuid4(), 0, LOAD, key, received_at + "+00", 0, json.dumps(record)))
        for row in structures:
            key = pseudonym(pepper, row["master_node_uid"])
            for moment in (row["creation_date"], row["modification_date"]):
                if moment:
                    cursor.execute(
                        "insert into raw.contact values (%s, %s, 0, %s, %s) on conflict do nothing",
                        (key, moment[:10], moment + "+00", LOAD),
                    )
            source = "legacy" if row["is_filtered"] else "legacy-undecided"
            cursor.execute(
                "insert into raw.installation_decision values (%s, %s, %s, now(), %s)",
                (key, row["is_filtered"] == "t", source, LOAD),
            )


def _structure(row: dict[str, str]) -> tuple[str, str, Any]:
    record = json.loads(row["structure"])
    record.pop("master_node_uid", None)
    return row["master_node_uid"], row["modification_date"] or row["creation_date"], record


def _action(row: dict[str, str]) -> tuple[str, str, Any]:
    body = json.loads(row["body"])
    received_at = body.get("end_timestamp") or body.get("start_timestamp") or "2016-05-31"
    return row["master_node_uid"], received_at, {"external_id": int(row["external_id"]), "body": body}


def _workload(row: dict[str, str]) -> tuple[str, str, Any]:
    record = {
        "id": int(row["external_id"]),
        "cluster_id": int(row["cluster_id"]),
        "created_date": row["created_date"],
        "updated_time": row["updated_time"],
        "resource_type": row["resource_type"],
        "resource_data": json.loads(row["resource_data"]),
        "resource_checksum": row["resource_checksum"],
    }
    if row["version_info"]:
        record["version_info"] = json.loads(row["version_info"])
    return row["master_node_uid"], f"{row['created_date']} {row['updated_time']}", record


def cell(document: Any, path: str) -> str:
    """The text of one cell: the value at a dotted path of a document."""
    keys = path.split(".")
    value = document
    while keys:
        if keys == ["count"] and isinstance(value, list):
            return str(len(value))
        if isinstance(value, list):
            index = int(keys[0]) if keys[0].isdigit() else -1
            value = value[index] if 0 <= index < len(value) else None
        elif isinstance(value, dict):
            value = value.get(keys[0])
        else:
            return ""
        keys = keys[1:]
    return text(value)


def text(value: Any) -> str:
    """How the original wrote a value."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)
