"""Schema drift: which paths records have, when they were first seen, how often, from which releases. Never a value.

Looks through the loads that it has not seen yet, after they were committed; no load waits for it or breaks on it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import sql

from fuel_stat import log
from warehouse.drift_paths import Paths
from warehouse.expand import UNREADABLE_MEMBER
from warehouse.load import kinds_in_raw

_log = log.get(__name__)
_PENDING = """
select load_id from ops.load where state = 'loaded' and not drift_scanned and records > 0
order by load_id limit 1 for update skip locked
"""
# The release that a node's latest structure names.
_RECORDS = """
with nodes as (select distinct installation_key from {table} where load_id = {load_id}),
releases as materialized (
    select n.installation_key, s.release
    from nodes as n
    cross join lateral (
        select i.record -> 'fuel_release' ->> 'release' as release
        from raw.installation_structure as i
        where i.installation_key = n.installation_key
        order by i.received_at desc limit 1
    ) as s
)
select r.record::text, r.received_at, s.release from {table} as r
left join releases as s using (installation_key) where r.load_id = {load_id}
"""
_WRITE = """
insert into ops.schema_path as p (kind, path, type, first_seen, last_seen, records, releases, first_load_id)
values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (kind, path, type) do update
set first_seen = least(p.first_seen, excluded.first_seen), last_seen = greatest(p.last_seen, excluded.last_seen),
    records = p.records + excluded.records,
    releases = (
        select coalesce(array_agg(distinct r order by r), '{}') from unnest(p.releases || excluded.releases) as r
    )
"""


@dataclass(frozen=True)
class DriftReport:
    """What a scan did. ``new``: paths never seen before; ``left``: whether loads are left for the next scan."""

    new: int = 0
    loads: int = 0
    records: int = 0
    left: bool = False


def scan_drift(warehouse_dsn: str, seconds: float | None = None) -> DriftReport:
    """Record the paths of the loads that were not looked through yet, oldest first, each in one transaction.

    Args:
        seconds: no further load is begun after that long; what is left is for the next scan. None: no limit.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    new = loads = records = 0
    with psycopg.connect(warehouse_dsn, autocommit=True, application_name="fuel-stat drift") as connection:
        while True:
            with connection.transaction():
                pending = connection.execute(_PENDING).fetchone()
                if pending is None:
                    break
                if deadline is not None and time.monotonic() > deadline:
                    return _said(DriftReport(new, loads, records, left=True))
                for kind in kinds_in_raw(connection):
                    paths = _scan(connection, kind, pending[0])
                    new += _store(connection, kind, pending[0], paths)
                    records += paths.records
                connection.execute("update ops.load set drift_scanned = true where load_id = %s", pending)
                loads += 1
    return _said(DriftReport(new, loads, records))


def _said(report: DriftReport) -> DriftReport:
    if report.new:
        _log.warning("schema_drift", new_paths=report.new, loads=report.loads, records=report.records)
    return report


def _scan(connection: psycopg.Connection[Any], kind: str, load_id: int) -> Paths:
    query = sql.SQL(_RECORDS).format(table=sql.Identifier("raw", kind), load_id=sql.Literal(load_id))
    paths = Paths()
    with connection.cursor("drift") as cursor:
        cursor.itersize = 1_000
        for text, received_at, release in cursor.execute(query):
            paths.add(_record(text), received_at, release)
    return paths


def _record(text: str) -> Any:
    """jsonb nests deeper than the parser follows: such a record counts as unreadable and stops nothing."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {UNREADABLE_MEMBER: None}


def _store(connection: psycopg.Connection[Any], kind: str, load_id: int, paths: Paths) -> int:
    """Merge into ``ops.schema_path``; a flood of made-up names ends at a limit. Returns how many are new."""
    rows = connection.execute("select path, type from ops.schema_path where kind = %s", (kind,))
    known = set(rows.fetchall())
    found = {(sight.path, sight.type): sight for sight in paths.sights()}
    fresh = sorted(found.keys() - known)[: max(0, Paths.LIMIT - len(known))]
    with connection.cursor() as cursor:
        cursor.executemany(
            _WRITE,
            [
                (
                    *(kind, path, of_type, sight.first, sight.last, sight.records),
                    *(sorted(sight.releases), load_id),
                )
                for path, of_type in [*(found.keys() & known), *fresh]
                for sight in [found[path, of_type]]
            ],
        )
    return len(fresh)
