"""Schema drift: which paths records have, when they were first seen, how often, from which releases. Never a value.

Scans the loads that were not scanned yet, after they were committed; nothing waits for it and nothing breaks on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg import sql

from fuel_stat import log
from warehouse.load import kinds_in_raw

_log = log.get(__name__)
MAX_PATHS_A_KIND = 20_000
MAX_DEPTH = 30
# Names that are identifiers (numbers, digests, addresses, host names) would make every record's paths new,
# and would be values.
_PLAIN_NAME = re.compile(r"(?![0-9a-fA-F-]{12,}$)[A-Za-z_][A-Za-z_:-]*[0-9]{0,3}[A-Za-z_:-]*")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
_LATEST_RELEASE = """
    select distinct on (installation_key) installation_key, record -> 'fuel_release' ->> 'release' as release
    from raw.installation_structure
    where installation_key in (select installation_key from {table} where load_id = {load_id})
    order by installation_key, received_at desc
"""


@dataclass
class _Seen:
    """A path of a type within one load."""

    first: datetime
    last: datetime
    records: int = 0
    releases: set[str] = field(default_factory=set)


def scan_drift(warehouse_dsn: str) -> int:
    """Record the paths of all loads that were not scanned yet; returns how many were never seen before."""
    new = 0
    with psycopg.connect(warehouse_dsn, autocommit=True, application_name="fuel-stat drift") as connection:
        loads = connection.execute(
            "select load_id from ops.load where state = 'loaded' and not drift_scanned and records > 0 order by 1"
        ).fetchall()
        for (load_id,) in loads:
            with connection.transaction():
                for kind in kinds_in_raw(connection):
                    new += _store(connection, kind, load_id, _scan(connection, kind, load_id))
                connection.execute("update ops.load set drift_scanned = true where load_id = %s", (load_id,))
    if new:
        _log.warning("schema_drift", new_paths=new)
    return new


def paths_of(record: Any) -> set[tuple[str, str]]:
    """Path and type of everything in a record; list positions and names that are identifiers are left out."""
    return set(_walk(record, "", 0))


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if path:
        yield path, _TYPES.get(type(value), "null")
    if depth >= MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            shown = name if len(name) <= 64 and _PLAIN_NAME.fullmatch(name) else "{name}"
            yield from _walk(inner, f"{path}.{shown}" if path else shown, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, f"{path}[]", depth + 1)


def _scan(connection: psycopg.Connection[Any], kind: str, load_id: int) -> dict[tuple[str, str], _Seen]:
    table = sql.Identifier("raw", kind)
    query = sql.SQL(
        f"with releases as ({_LATEST_RELEASE})"
        " select r.record::text, r.received_at, s.release from {table} as r"
        " left join releases as s using (installation_key) where r.load_id = {load_id}"
    ).format(table=table, load_id=sql.Literal(load_id))
    found: dict[tuple[str, str], _Seen] = {}
    with connection.cursor("drift") as cursor:
        cursor.itersize = 500
        for text, received_at, release in cursor.execute(query):
            for place in paths_of(orjson.loads(text)):
                seen = found.setdefault(place, _Seen(received_at, received_at))
                seen.first, seen.last = min(seen.first, received_at), max(seen.last, received_at)
                seen.records += 1
                if release and len(release) <= 32:
                    seen.releases.add(release)
    return found


def _store(
    connection: psycopg.Connection[Any], kind: str, load_id: int, found: dict[tuple[str, str], _Seen]
) -> int:
    """Merge into ``ops.schema_path``; a flood of made-up names ends at a limit."""
    known = {
        (path, of_type)
        for path, of_type in connection.execute(
            "select path, type from ops.schema_path where kind = %s", (kind,)
        )
    }
    room = max(0, MAX_PATHS_A_KIND - len(known))
    fresh = sorted(set(found) - known)[:room]
    kept = [place for place in found if place in known] + fresh
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.schema_path as p"
            " (kind, path, type, first_seen, last_seen, records, releases, first_load_id)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (kind, path, type) do update"
            " set first_seen = least(p.first_seen, excluded.first_seen),"
            " last_seen = greatest(p.last_seen, excluded.last_seen), records = p.records + excluded.records,"
            " releases = (select coalesce(array_agg(distinct r order by r), '{}')"
            "   from unnest(p.releases || excluded.releases) as r)",
            [
                (kind, path, of_type, seen.first, seen.last, seen.records, sorted(seen.releases), load_id)
                for path, of_type in kept
                for seen in [found[path, of_type]]
            ],
        )
    return len(fresh)
