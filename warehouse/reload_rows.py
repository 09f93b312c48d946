"""Taking records out of raw: kept as they were in ``raw.removed_record``, and the seals follow."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql


def remove_records(
    connection: psycopg.Connection[Any],
    kind: str,
    load_id: int,
    condition: sql.Composable,
    *,
    unseal: bool = True,
) -> int:
    """Move the records of a kind that the condition selects to ``raw.removed_record``; returns how many.

    Args:
        load_id: the load that removes them: dbt rebuilds what its records touched.
        condition: over the columns of raw's table, unqualified.
        unseal: whether to take them out of the seals (a reload sets the seals anew by itself).
    """
    statement = sql.SQL("""
        with gone as (
            delete from {table} where {condition}
            returning landing_id, position, installation_key, received_at, tier, record
        ),
        kept as (
            insert into raw.removed_record
            select {load_id}, {kind}, landing_id, position, installation_key, received_at, tier, record from gone
            on conflict do nothing
        ),
        touched as (
            insert into ops.touched_installation (installation_key, reason)
            select distinct installation_key, 'removed by load ' || {load_id} from gone
            on conflict (installation_key) do update
            set from_day = null, publication_id = null, reason = excluded.reason
        ),
        sums as (
            select (received_at at time zone 'UTC')::date as received_day, tier, count(*) as records,
                sum(ops.record_hash(landing_id, position, record)) as record_hash
            from gone group by 1, 2
        ),
        unsealed as (
            update ops.raw_seal as s
            set records = s.records - sums.records, record_hash = s.record_hash - sums.record_hash
            from sums
            where {unseal} and s.kind = {kind} and s.received_day = sums.received_day and s.tier = sums.tier
        )
        select count(*) from gone
    """).format(
        table=sql.Identifier("raw", kind),
        condition=condition,
        load_id=sql.Literal(load_id),
        kind=sql.Literal(kind),
        unseal=sql.Literal(unseal),
    )
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
