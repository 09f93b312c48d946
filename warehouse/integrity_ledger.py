"""The record ledger against the rest: which landed records it confirms, and whether it knows more than was landed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from warehouse.extract_source import Source, within
from warehouse.integrity_stages import Days, Place, Tally, on_days
from warehouse.load import Pseudonyms

# Keys that a kind's ledger holds: sums of versions, since every landed version counts.
_TOTALS = """
select kind, sum(bit_count(bits::bit(64))) from collector.ledger_bitmap group by kind
union all
select kind, sum(versions) from collector.ledger_version group by kind
union all
select kind, sum(versions) from collector.ledger_latest group by kind
"""

_LANDED_TOTALS = """
select kind, sum(coalesce(cardinality(taken), records)) from collector.landing where {condition} group by kind
"""

_NODES = "select node from collector.landing where {condition}"

_BITMAP = """
select n.uid, l.kind, l.bucket, l.bits from collector.ledger_bitmap as l
inner join collector.node as n on l.node = n.node where l.node in ({nodes})
"""
_VERSION = """
select n.uid, l.kind, l.subtype, l.external_id from collector.ledger_version as l
inner join collector.node as n on l.node = n.node where l.node in ({nodes})
"""
_LATEST = """
select n.uid, l.kind from collector.ledger_latest as l
inner join collector.node as n on l.node = n.node where l.node in ({nodes})
"""

_CONFIRMED = """
select (r.received_at at time zone 'UTC')::date, r.tier, count(*), sum(uuid_hash_extended(r.landing_id, r.position))
from {table} as r
where {days} and (r.record ? '_unreadable' or exists ({ledger}))
group by 1, 2
"""

_IN_BITMAP = """
select from ledger_bitmap as l
where l.kind = {kind} and l.installation_key = r.installation_key
    and l.bucket = (r.record ->> 'external_id')::bigint >> 6
    and (l.bits >> ((r.record ->> 'external_id')::bigint & 63)::integer) & 1 = 1
"""
_IN_VERSION = """
select from ledger_version as l
where l.kind = {kind} and l.installation_key = r.installation_key
    and l.subtype = coalesce(r.record ->> 'resource_type', '')
    and l.external_id = coalesce(r.record ->> 'id', r.record ->> 'external_id')::bigint
"""
_IN_LATEST = """
select from ledger_latest as l where l.kind = {kind} and l.installation_key = r.installation_key
"""


def totals(source: Source) -> dict[str, int]:
    """How many records the ledger knows of each kind, whenever they came."""
    return {kind: int(count) for kind, count in source.connection.execute(_TOTALS)}


def landed_totals(source: Source, from_xid: int = 0) -> dict[str, int]:
    """How many records the landings from ``from_xid`` on contribute, by kind."""
    query = sql.SQL(_LANDED_TOTALS).format(condition=within(from_xid, None))
    return {kind: int(count) for kind, count in source.connection.execute(query)}


def confirmed(
    connection: psycopg.Connection[Any], source: Source, pseudonyms: Pseudonyms, kinds: list[str], days: Days
) -> dict[Place, Tally]:
    """Raw's records whose key the ledger has; kinds of tomorrow with other keys are left out.

    Fills temporary tables, so it needs a transaction.
    """
    ledger_of = _fetch(connection, source, pseudonyms, days)
    found: dict[Place, Tally] = {}
    for kind in kinds:
        if kind not in ledger_of:
            continue
        query = sql.SQL(_CONFIRMED).format(
            table=sql.Identifier("raw", kind),
            days=on_days(days),
            ledger=sql.SQL(ledger_of[kind]).format(kind=sql.Literal(kind)),
        )
        for day, tier, count, total in connection.execute(query):
            found[kind, day, tier] = Tally(count, int(total))
    return found


def _fetch(
    connection: psycopg.Connection[Any], source: Source, pseudonyms: Pseudonyms, days: Days
) -> dict[str, str]:
    """Bring the ledger of the nodes that reported on those days; which query confirms a kind."""
    nodes = sql.SQL(_NODES).format(condition=on_days(days))
    plan = (
        ("ledger_bitmap", "bucket bigint, bits bigint", _BITMAP, _IN_BITMAP, "(installation_key, bucket)"),
        ("ledger_version", "subtype text, external_id bigint", _VERSION, _IN_VERSION,
         "(installation_key, external_id)"),
        ("ledger_latest", None, _LATEST, _IN_LATEST, "(installation_key)"),
    )  # fmt: skip
    query_of: dict[str, str] = {}
    for name, columns, query, check, index in plan:
        more = f", {columns}" if columns else ""
        connection.execute(
            f"create temporary table {name} (installation_key uuid, kind text{more}) on commit drop"
        )
        with connection.cursor() as cursor, cursor.copy(f"copy {name} from stdin") as copy:
            for uid, kind, *rest in _stream(source, sql.SQL(query).format(nodes=nodes)):
                query_of[kind] = check
                copy.write_row((pseudonyms[uid], kind, *rest))
        connection.execute(f"create index on {name} {index}")
        connection.execute(f"analyze {name}")
    return query_of


def _stream(source: Source, query: sql.Composed) -> Iterator[tuple[Any, ...]]:
    with source.connection.cursor("ledger") as cursor:
        cursor.itersize = 20_000
        yield from cursor.execute(query)
