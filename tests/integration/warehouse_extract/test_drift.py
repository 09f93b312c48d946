"""Schema drift: paths that were never seen before are recorded after each load, without values; nothing breaks."""

from __future__ import annotations

from typing import Any

import psycopg

from warehouse.drift import scan_drift
from warehouse.extract import Options, run_extract

UID = "7d1f3f5e-2f5b-4a0f-9a34-0c8f27a2a001"


def test_new_paths_are_recorded_once_with_type_release_and_count(
    collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes
) -> None:
    """Each extraction looks through what it loaded: a path is new once, its count grows, releases come from the
    installation's structure. Analysts may read it."""
    structure = {"fuel_release": {"release": "9.0"}, "clusters": [{"id": 1}]}
    warehouse = analytic_db.dsn("fuel_warehouse")
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
        report = run_extract(collector_pair.dsn("fuel_extract", standby=True), warehouse, pepper)
        assert report.new_paths == (10 if number == 1 else 0)
        assert scan_drift(warehouse).loads == 0
    with psycopg.connect(analytic_db.dsn("fuel_analytics")) as connection:
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


def test_a_scan_that_ran_out_of_time_is_taken_up_by_the_next(
    collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes
) -> None:
    """Loads are looked through one by one, oldest first; what time does not allow stays marked as pending."""
    warehouse = analytic_db.dsn("fuel_warehouse")
    for number in range(3):
        with collector.connect() as connection:
            collector.land(connection, UID, [{"external_id": number}])
        collector_pair.wait_replayed()
        standby = collector_pair.dsn("fuel_extract", standby=True)
        run_extract(standby, warehouse, pepper, options=Options(drift_seconds=0))
    nothing = scan_drift(warehouse, seconds=-1)
    assert (nothing.loads, nothing.left) == (0, True)
    rest = scan_drift(warehouse)
    assert (rest.loads, rest.records, rest.new, rest.left) == (3, 3, 1, False)


def test_a_record_that_nests_too_deep_stops_nothing(
    collector_pair: Any, analytic_db: Any, collector: Any, pepper: bytes
) -> None:
    """What jsonb can hold and the parser cannot follow shows as a path of its own."""
    with collector.connect() as connection:
        collector.land(connection, UID, [{"external_id": 1}])
    collector_pair.wait_replayed()
    warehouse = analytic_db.dsn("fuel_warehouse")
    standby = collector_pair.dsn("fuel_extract", standby=True)
    run_extract(standby, warehouse, pepper, options=Options(drift_seconds=0))
    with psycopg.connect(warehouse) as connection:
        deep = "[" * 1500 + "]" * 1500
        connection.execute("update raw.action_logs set record = %s::text::jsonb", (deep,))
    assert scan_drift(warehouse).new == 1
    with psycopg.connect(warehouse) as connection:
        assert connection.execute("select path from ops.schema_path").fetchall() == [("_unreadable",)]
