"""Count and order-independent hash of each stage of the data's way, by receive day (UTC) and tier.

The hash of a record is ``uuid_hash_extended(landing_id, position)``, summed: the same at the source, in raw and in a
fact that keeps both columns. Postgres keeps that function the same between versions (hash partitions depend on it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from warehouse.extract_source import Source, within

Place = tuple[str, date, int]
Days = Sequence[date] | None


@dataclass(frozen=True)
class Tally:
    """How many records, and the sum of their hashes."""

    count: int
    hash: int


@dataclass(frozen=True)
class RawTally:
    """Raw on a day: identity and content hashes, records that no fact can have (unreadable), and those of loads
    that the facts (``pending``) or the published facts (``unpublished``) were not built from yet."""

    all: Tally
    content_hash: int
    unreadable: Tally
    pending: Tally
    unpublished: Tally


@dataclass(frozen=True)
class Fact:
    """A table that keeps landing_id and position of the record that each row comes from.

    ``received``: its column of the receive time. ``same``: where only the newest record of a key stays, the condition
    that a row ``f`` of it and a record ``r`` of raw have the same key; None where every record stays.
    """

    table: str
    received: str = "received_at"
    same: str | None = None


# The same number as the node's: numeric, because any JSON number may stand in raw.
_SAME_WORKLOAD = """
f.installation_key = r.installation_key and f.resource_type = r.record ->> 'resource_type'
and f.external_id = case when jsonb_typeof(r.record -> 'id') = 'number' then (r.record ->> 'id')::numeric end
"""
# Structures are published as what they say, spread over many tables: their fact is the history these are made from.
FACTS = {
    "action_logs": Fact("fct_action"),
    "oswl_stats": Fact("fct_workload_record", same=_SAME_WORKLOAD),
    "installation_structure": Fact("int_structures_versioned", received="valid_from"),
}

# Loads that the facts in build, and those that readers see, were built from. No pin at all: everything. A publication
# lists the loads that no build before it had seen, and a build that was not published left its rows to the next.
COVERED = {
    "fact": "select load_id from ops.pinned_load"
    " union all select load_id from ops.load where not exists (select from ops.pinned_load)",
    "published": "select c.load_id from ops.publication_load as c inner join ops.publication as p using"
    " (publication_id) where p.built_at is not null"
    " and p.publication_id <= (select publication_id from ops.published)",
}

_RAW = """
with pinned as materialized ({fact}), published as materialized ({published})
select (r.received_at at time zone 'UTC')::date, r.tier,
    count(*), sum(h.hash), sum(ops.record_hash(r.landing_id, r.position, r.record)),
    count(*) filter (where r.record ? '_unreadable'),
    coalesce(sum(h.hash) filter (where r.record ? '_unreadable'), 0),
    count(*) filter (where h.pending), coalesce(sum(h.hash) filter (where h.pending), 0),
    count(*) filter (where h.unpublished), coalesce(sum(h.hash) filter (where h.unpublished), 0)
from {table} as r
cross join lateral (
    select uuid_hash_extended(r.landing_id, r.position) as hash,
        r.load_id not in (select load_id from pinned) and not r.record ? '_unreadable' as pending,
        r.load_id not in (select load_id from published) and not r.record ? '_unreadable' as unpublished
) as h
where {days}
group by 1, 2
"""

_FACT = """
select (received_at at time zone 'UTC')::date, tier, count(*), sum(uuid_hash_extended(landing_id, position))
from {rows} as f
where {days}
group by 1, 2
"""

_SUPERSEDED = """
with covered as materialized ({covered})
select (received_at at time zone 'UTC')::date, tier, count(*), sum(uuid_hash_extended(landing_id, position))
from {table} as r
where {days} and load_id in (select load_id from covered) and not record ? '_unreadable' and {superseded}
group by 1, 2
"""


def on_days(days: Days) -> sql.Composable:
    """The condition that ``received_at`` is on one of these UTC days; all of them when None."""
    if days is None:
        return sql.SQL("true")
    if not days:
        return sql.SQL("false")
    # The range lets the brin index skip; the list is exact.
    return sql.SQL(
        "received_at >= {first}::date::timestamp at time zone 'UTC'"
        " and received_at < ({last}::date + 1)::timestamp at time zone 'UTC'"
        " and (received_at at time zone 'UTC')::date = any({days}::date[])"
    ).format(first=sql.Literal(min(days)), last=sql.Literal(max(days)), days=sql.Literal(sorted(days)))


def landed(source: Source, watermark: int, days: Days) -> dict[Place, Tally]:
    """What was landed and is within the watermark."""
    condition = on_days(days) + sql.SQL(" and ") + within(0, watermark)
    return {
        (s.kind, s.day, s.tier): Tally(s.records, s.hash) for s in source.summary(condition, contacts=False)
    }


def retired(source: Source, days: Days) -> dict[Place, Tally]:
    """What had been landed on days whose partitions have left, as it was counted before they left."""
    there = source.connection.execute("select to_regclass('collector.retired_day') is not null").fetchone()
    if not there or not there[0]:
        return {}
    wanted = None if days is None else list(days)
    rows = source.connection.execute(
        "select kind, day, tier, sum(records), sum(hash) from collector.retired_day"
        " where %s::date[] is null or day = any(%s::date[]) group by 1, 2, 3",
        (wanted, wanted),
    )
    return {(kind, day, tier): Tally(int(records), int(total)) for kind, day, tier, records, total in rows}


def raw(connection: psycopg.Connection[Any], kind: str, days: Days) -> dict[Place, RawTally]:
    """What raw has of a kind."""
    query = sql.SQL(_RAW).format(
        table=sql.Identifier("raw", kind),
        days=on_days(days),
        fact=sql.SQL(COVERED["fact"]),
        published=sql.SQL(COVERED["published"]),
    )
    found = {}
    for day, tier, count, total, content, *parts in connection.execute(query):
        tallies = [Tally(parts[n], int(parts[n + 1])) for n in (0, 2, 4)]
        found[kind, day, tier] = RawTally(Tally(count, int(total)), int(content), *tallies)
    return found


def seals(connection: psycopg.Connection[Any], kind: str, days: Days) -> dict[Place, Tally]:
    """What raw must have of a kind: kept by the transactions that may change raw."""
    rows = connection.execute(
        "select received_day, tier, records, record_hash from ops.raw_seal"
        " where kind = %s and (%s::date[] is null or received_day = any(%s::date[]))"
        " and (records <> 0 or record_hash <> 0)",
        (kind, None if days is None else list(days), None if days is None else list(days)),
    )
    return {(kind, day, tier): Tally(records, int(total)) for day, tier, records, total in rows}


def fact(
    connection: psycopg.Connection[Any], kind: str, schema: str, days: Days
) -> dict[Place, Tally] | None:
    """What the kind's fact has in a schema (``build`` or ``marts``); None when there is no such fact (yet)."""
    if not _is_there(connection, kind, schema):
        return None
    return _tallies(connection, kind, sql.SQL(_FACT).format(rows=rows_of(kind, schema), days=on_days(days)))


def superseded(
    connection: psycopg.Connection[Any], kind: str, stage: str, schema: str, days: Days
) -> dict[Place, Tally]:
    """Records that the fact has left out for another of the same key; of the loads that the stage covers."""
    if not _is_there(connection, kind, schema):
        return {}
    query = sql.SQL(_SUPERSEDED).format(
        table=sql.Identifier("raw", kind),
        covered=sql.SQL(COVERED[stage]),
        days=on_days(days),
        superseded=is_superseded(kind, schema),
    )
    return _tallies(connection, kind, query)


def rows_of(kind: str, schema: str) -> sql.Composable:
    """The kind's fact as a subquery of landing_id, position, tier and received_at."""
    fact_of = FACTS[kind]
    return sql.SQL("(select landing_id, position, tier, {} as received_at from {})").format(
        sql.Identifier(fact_of.received), sql.Identifier(schema, fact_of.table)
    )


def is_superseded(kind: str, schema: str) -> sql.Composable:
    """The condition that the fact has another record of the key of the record ``r``."""
    fact_of = FACTS[kind]
    if fact_of.same is None:
        return sql.SQL("false")
    return sql.SQL(
        "exists (select from {} as f where {} and (f.landing_id, f.position) <> (r.landing_id, r.position))"
    ).format(sql.Identifier(schema, fact_of.table), sql.SQL(fact_of.same))


def _tallies(connection: psycopg.Connection[Any], kind: str, query: sql.Composed) -> dict[Place, Tally]:
    return {
        (kind, day, tier): Tally(count, int(total)) for day, tier, count, total in connection.execute(query)
    }


def _is_there(connection: psycopg.Connection[Any], kind: str, schema: str) -> bool:
    """Whether the fact exists and has the columns that are needed (while models change it may not)."""
    fact_of = FACTS.get(kind)
    if fact_of is None:
        return False
    needed = ["landing_id", "position", "tier", fact_of.received]
    if fact_of.same is not None:
        needed += ["installation_key", "external_id", "resource_type"]
    row = connection.execute(
        "select count(*) = %s from pg_attribute where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        " and attname = any(%s) and not attisdropped",
        (len(needed), schema, fact_of.table, needed),
    ).fetchone()
    return bool(row and row[0])
