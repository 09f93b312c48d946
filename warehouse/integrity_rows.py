"""Naming the rows that disagree: a day is expanded again from what was landed and compared record by record."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from warehouse.extract_source import Source, received_on
from warehouse.integrity_stages import COVERED, Place, is_superseded, on_days, rows_of
from warehouse.load import Pseudonyms, RecordCopy
from warehouse.load_records import Checker, copy_landings

NAMED_ROWS = 20

# Records are compared by their stored bytes, as the seal does: to jsonb's own equality 1.0 is 1.
_AGAINST_LANDED = """
select landing_id, position,
    case when r.landing_id is null then 'is missing in raw'
        when s.landing_id is null then 'is in raw and was not landed'
        else 'differs from what was landed' end
from integrity_stage as s
full join (select * from {table} where {days} and tier = {tier}) as r using (landing_id, position)
where r.landing_id is null or s.landing_id is null
    or (r.record::bytea, r.installation_key, r.received_at)
    is distinct from (s.record::bytea, s.installation_key, s.received_at)
order by 1, 2 limit {limit}
"""

# What was reloaded or removed after the facts were built is not their fault.
_AGAINST_FACT = """
with covered as materialized ({covered})
select landing_id, position,
    case when f.landing_id is null then 'is missing in the fact' else 'is in the fact and not in raw' end
from (select * from {table} where {days} and tier = {tier} and not record ? '_unreadable') as r
full join (
    select landing_id, position from {fact} as f where {days} and tier = {tier}
) as f using (landing_id, position)
where (f.landing_id is null and r.load_id in (select load_id from covered) and not {superseded})
    or (r.landing_id is null and not exists (
        select from raw.removed_record as g
        where g.landing_id = f.landing_id and g.position = f.position
            and g.load_id not in (select load_id from covered)
    ))
order by 1, 2 limit {limit}
"""


def against_landed(
    connection: psycopg.Connection[Any],
    source: Source,
    place: Place,
    watermark: int,
    pseudonyms: Pseudonyms,
    checker: Checker = None,
) -> list[str]:
    """The first rows of raw that are not what was landed at a place; part of the caller's transaction."""
    kind, day, tier = place
    connection.execute("drop table if exists integrity_stage")
    connection.execute("create temporary table integrity_stage (like raw.record_template) on commit drop")
    condition = received_on(day, kind, watermark) + sql.SQL(" and tier = {}").format(sql.Literal(tier))
    with RecordCopy(connection, sql.Identifier("pg_temp", "integrity_stage"), 0, pseudonyms) as copy:
        copy_landings(copy, source.landings(condition), checker)
    return _named(connection, _AGAINST_LANDED, place)


def against_fact(connection: psycopg.Connection[Any], place: Place, stage: str, schema: str) -> list[str]:
    """The first rows at a place in which a fact differs from raw; empty when later loads explain the difference.

    Args:
        stage: ``fact`` or ``published``: which loads it must cover.
    """
    names = {
        "fact": rows_of(place[0], schema),
        "covered": sql.SQL(COVERED[stage]),
        "superseded": is_superseded(place[0], schema),
    }
    return _named(connection, _AGAINST_FACT, place, **names)


def _named(
    connection: psycopg.Connection[Any], query: str, place: Place, **names: sql.Composable
) -> list[str]:
    kind, day, tier = place
    statement = sql.SQL(query).format(
        table=sql.Identifier("raw", kind),
        days=on_days([day]),
        tier=sql.Literal(tier),
        limit=sql.Literal(NAMED_ROWS),
        **names,
    )
    return [
        f"{kind} {landing_id}/{position} {what}"
        for landing_id, position, what in connection.execute(statement)
    ]
