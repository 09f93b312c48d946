"""The statements of the hot path: each writes the ledger, the landing, the node and its contact in one round trip.

The prefilter is a scalar subquery (a join got a bad cached plan): keys that are known already are neither locked
nor written, so a request sent again writes nothing at all. Numbers arrive as array literals in text, which is
cheaper to build than typed arrays; everything else in the binary format of the type it is cast to.
Rows are inserted in the order of their keys, so two requests with the same keys cannot deadlock.

The day of today is a subquery where contacts are looked up: as a bare volatile expression it could not be looked up in
the index, and all contacts of a node would be read.

Each comes twice. A node that was heard from today needs neither its own row nor a contact, and two inserts that insert
nothing cost a third of a statement: the one for nodes that were met before leaves them out, does nothing at all where
the contact of today is missing, and ends its result with a row of nulls where it is there.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest_api.prepared import Statement

#: the node's contact of today
_CONTACT = """
    from collector.contact as c
    where c.node = %(node)s::uuid and c.day = (select (clock_timestamp() at time zone 'UTC')::date)"""

_COMMON = f"""
seen as (
    insert into collector.node (node, uid, tier)
    select %(node)s::uuid, %(uid)s::text, %(tier)s::smallint
    where not exists (select from collector.node as n where n.node = %(node)s::uuid)
    on conflict do nothing
),
heard as (
    insert into collector.contact (node, uid, day, tier)
    select %(node)s::uuid, %(uid)s::text, (clock_timestamp() at time zone 'UTC')::date, %(tier)s::smallint
    where %(heard)s::boolean and not exists (
        select {_CONTACT}
    )
    on conflict do nothing
)"""

_MET = f"""
met as (
    select 1 as one {_CONTACT}
)"""

_LAND = """
landed as (
    insert into collector.landing (
        node, uid, kind, schema_version, tier, records, taken, payload_bytes, payload
    )
    select
        %(node)s::uuid, %(uid)s::text, %(kind)s::text, %(version)s::smallint, %(tier)s::smallint,
        %(records)s::integer,
        case when cardinality(t.positions) < %(records)s::integer then t.positions end,
        %(payload_bytes)s::integer, %(payload)s::bytea
    from taken as t
    where cardinality(t.positions) > 0
)"""


class Twin(NamedTuple):
    """A statement for any node, and the same for one that was met before; its result's last row says whether it was."""

    any: Statement
    met: Statement


def _twin(name: str, text: str, columns: int) -> Twin:
    nulls = ", ".join(["null"] * columns)
    met = (
        text.replace("{common}", _MET)
        .replace("{from}", "from met as m")
        .replace("{if}", "exists (select from met) and")
    )
    return Twin(
        Statement(name, text.replace("{common}", _COMMON).replace("{from}", "").replace("{if}", "")),
        Statement(f"{name}_met", f"{met}\nunion all\nselect {nulls} from met as m"),
    )


#: only that a node was heard from
CONTACT = Statement("ingest_contact", f"with {_COMMON} select 1")

#: first record of a key wins; returns (bucket, bits that were new)
BITMAP = _twin(
    "ingest_bitmap",
    """
with {common},
wanted as (
    select w.bucket, w.bits
    from unnest(%(buckets)s::text::bigint [], %(bits)s::text::bigint []) as w (bucket, bits)
    where {if} (
        select l.bits & w.bits
        from collector.ledger_bitmap as l
        where l.node = %(node)s::uuid and l.kind = %(kind)s::text and l.bucket = w.bucket
    ) is distinct from w.bits
),
ledger as (
    insert into collector.ledger_bitmap as l (node, kind, bucket, bits, fresh)
    select %(node)s::uuid, %(kind)s::text, w.bucket, w.bits, w.bits from wanted as w order by w.bucket
    on conflict (node, kind, bucket) do update
    set bits = l.bits | excluded.bits, fresh = excluded.bits & ~l.bits
    where (excluded.bits & ~l.bits) <> 0
    returning l.bucket, l.fresh
),
taken as (
    select array_agg(r.place order by r.place) as positions
    from unnest(%(places)s::text::integer [], %(ids)s::text::bigint []) as r (place, id)
    inner join ledger as l on l.bucket = r.id >> 6 and (l.fresh >> (r.id & 63)::integer) & 1 = 1
),
"""
    + _LAND
    + """
select l.bucket, l.fresh from ledger as l
""",
    columns=2,
)

#: every differing version of a key is kept; returns (subtype, id, whether the key is new) of those landed
VERSION = _twin(
    "ingest_version",
    """
with {common},
wanted as (
    select w.place, w.subtype, w.id, w.digest
    from unnest(
        %(places)s::text::integer [], %(subtypes)s::text [], %(ids)s::text::bigint [], %(digests)s::bytea []
    ) as w (place, subtype, id, digest)
    where {if} (
        select l.digest
        from collector.ledger_version as l
        where l.node = %(node)s::uuid and l.kind = %(kind)s::text
            and l.subtype = w.subtype and l.external_id = w.id
    ) is distinct from w.digest
),
ledger as (
    insert into collector.ledger_version as l (node, kind, subtype, external_id, digest)
    select %(node)s::uuid, %(kind)s::text, w.subtype, w.id, w.digest from wanted as w order by w.subtype, w.id
    on conflict (node, kind, subtype, external_id) do update
    set digest = excluded.digest, versions = l.versions + 1
    where l.digest <> excluded.digest
    returning l.subtype, l.external_id, l.versions
),
taken as (
    select array_agg(w.place order by w.place) as positions
    from wanted as w
    inner join ledger as l on l.external_id = w.id and l.subtype = w.subtype
),
"""
    + _LAND
    + """
select l.subtype, l.external_id, l.versions = 1 from ledger as l
""",
    columns=3,
)

#: one record a node, kept when it differs from the latest; returns a row (is it the first) when it was landed
LATEST = _twin(
    "ingest_latest",
    """
with {common},
ledger as (
    insert into collector.ledger_latest as l (node, kind, digest)
    select %(node)s::uuid, %(kind)s::text, %(digest)s::bytea {from}
    on conflict (node, kind) do update
    set digest = excluded.digest, received_at = clock_timestamp(), versions = l.versions + 1
    where l.digest <> excluded.digest
    returning l.versions
),
taken as (
    select array[0] as positions from ledger as l
),
"""
    + _LAND
    + """
select l.versions = 1 from ledger as l
""",
    columns=1,
)

#: whether a node's latest record has this digest; then it was heard from. Returns a row when it has.
UNCHANGED = Twin(
    Statement(
        "ingest_unchanged",
        f"""
with known as (
    select 1 as one
    from collector.ledger_latest as l
    where l.node = %(node)s::uuid and l.kind = %(kind)s::text and l.digest = %(digest)s::bytea
),
heard as (
    insert into collector.contact (node, uid, day, tier)
    select %(node)s::uuid, %(uid)s::text, (clock_timestamp() at time zone 'UTC')::date, %(tier)s::smallint
    from known as k
    where not exists (
        select {_CONTACT}
    )
    on conflict do nothing
)
select k.one from known as k
""",
    ),
    Statement(
        "ingest_unchanged_met",
        f"""
with {_MET}
select 1
from collector.ledger_latest as l
where l.node = %(node)s::uuid and l.kind = %(kind)s::text and l.digest = %(digest)s::bytea
union all
select null from met as m
""",
    ),
)

#: a refused record, once, with a counter
QUARANTINE = """
insert into collector.quarantine as q (
    kind, node, uid, reason_code, reason, position, digest, payload_bytes, payload, tier
)
values (
    %(kind)s, %(node)s::uuid, %(uid)s, %(code)s, %(reason)s, %(position)s::integer, %(digest)s::bytea,
    %(payload_bytes)s::integer, %(payload)s::bytea, %(tier)s::smallint
)
on conflict (digest, kind, reason_code) do update
set seen_count = q.seen_count + 1, last_seen = clock_timestamp(), xid = pg_current_xact_id()
"""
