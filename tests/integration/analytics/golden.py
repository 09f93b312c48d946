"""The golden tables of an original collector database, as extraction would bring them into raw."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.integration.analytics.publishing import RawRecord

csv.field_size_limit(sys.maxsize)
_DECISIONS: dict[str, bool | None] = {"t": True, "f": False, "": None}


def table(recorded: Path, name: str) -> list[dict[str, str]]:
    """A golden table's rows."""
    with gzip.open(recorded / "golden" / "tables" / f"{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def output(recorded: Path, name: str) -> bytes:
    """What the original answered."""
    return gzip.decompress((recorded / "golden" / "outputs" / f"{name}.gz").read_bytes())


def cells(text: bytes) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file."""
    rows = list(csv.reader(io.StringIO(text.decode("utf-8"), newline="")))
    return rows[0], rows[1:]


def moment(text: str) -> datetime:
    """A naive UTC time of the tables."""
    return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)


def records(recorded: Path) -> Iterator[RawRecord]:
    """All records, received when they were last changed or made."""
    for row in table(recorded, "installation_structures"):
        structure = without_uid(json.loads(row["structure"]))
        received = moment(row["modification_date"] or row["creation_date"])
        yield RawRecord("installation_structure", row["master_node_uid"], received, structure)
    for row in table(recorded, "action_logs"):
        body = json.loads(row["body"])
        received = moment(body["end_timestamp"] or body["start_timestamp"])
        record = {"external_id": int(row["external_id"]), "body": body}
        yield RawRecord("action_logs", row["master_node_uid"], received, record)
    for row in table(recorded, "oswl_stats"):
        yield RawRecord("oswl_stats", row["master_node_uid"], *_workload(row))


def _workload(row: dict[str, str]) -> tuple[datetime, dict[str, Any]]:
    record = {
        "id": int(row["external_id"]),
        "cluster_id": int(row["cluster_id"]),
        "created_date": row["created_date"],
        "updated_time": row["updated_time"],
        "resource_type": row["resource_type"],
        "resource_checksum": row["resource_checksum"],
        "resource_data": json.loads(row["resource_data"]),
    }
    if row["version_info"]:
        record["version_info"] = json.loads(row["version_info"])
    return moment(f"{row['created_date']} {row['updated_time']}"), record


def without_uid(document: Any) -> Any:
    """The document as raw keeps it."""
    if isinstance(document, dict):
        return {key: value for key, value in document.items() if key != "master_node_uid"}
    return document


def contacts(recorded: Path) -> dict[str, list[datetime]]:
    """When each installation reported: the original knew the first and the last time."""
    return {
        row["master_node_uid"]: [
            moment(row[key]) for key in ("creation_date", "modification_date") if row[key]
        ]
        for row in table(recorded, "installation_structures")
    }


def decisions(recorded: Path) -> dict[str, bool | None]:
    """The original's filter flags; None where it had none."""
    return {
        row["master_node_uid"]: _DECISIONS[row["is_filtered"]]
        for row in table(recorded, "installation_structures")
    }
