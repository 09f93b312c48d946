"""Schema drift: paths that were never seen before are recorded, without values; nothing breaks."""

from __future__ import annotations

from typing import Any

import psycopg

from warehouse.drift import paths_of, scan_drift
from warehouse.extract import run_extract

UID = "7d1f3f5e-2f5b-4a0f-9a34-0c8f27a2a001"


def test_new_paths_are_recorded_once_with_type_release_and_count(
    collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes
) -> None:
    """A path is new once; its count grows with the loads; releases come from the installation's structure."""
    structure = {"fuel_release": {"release": "9.0"}, "clusters": [{"id": 1}]}
    for number in (1, 2):
        with collector.connect() as connection:
            if number == 1:
                collector.land(
                    connection, UID, [structure], kind="installation_structure", document=structure
                )
            collector.land(
                connection, UID, [{"external_id": number, "body": {"id": number, "later": [None]}}]
            )
        collector_pair.wait_replayed()
        warehouse = analytic_db.dsn("fuel_warehouse")
        run_extract(collector_pair.dsn("fuel_extract", standby=True), warehouse, pepper)
        assert scan_drift(warehouse) == (10 if number == 1 else 0)
        assert scan_drift(warehouse) == 0
    with psycopg.connect(analytic_db.dsn()) as connection:
        rows = connection.execute(
            "select path, type, records, releases from ops.schema_path where kind = 'action_logs' order by path"
        ).fetchall()
    assert rows == [
        ("body", "object", 2, ["9.0"]),
        ("body.id", "integer", 2, ["9.0"]),
        ("body.later", "array", 2, ["9.0"]),
        ("body.later[]", "null", 2, ["9.0"]),
        ("external_id", "integer", 2, ["9.0"]),
    ]


def test_names_that_are_identifiers_are_no_paths() -> None:
    """Digests, addresses, numbers and host names used as names are not recorded: they would be values."""
    record = {"nodes": {"17": 1, "node-1.example.com": 2, "deadbeefcafe0123": 3, "52:54:00:12:34:56": 4}}
    assert paths_of(record) == {("nodes", "object"), ("nodes.{name}", "integer")}
