-- The collector's database: what arrived, exactly once, as it was received (redacted).
-- Everything lives in schema "collector". Partitioned by the server's receive time, UTC, one month each.

create schema collector;

-- One row a node that ever reported. "node" is the first 16 bytes of sha256(uid): computed by the
-- collector without a round trip, of fixed width however long the uid is.
create table collector.node (
    node uuid primary key,
    uid text not null,
    tier smallint not null default 0 check (tier between 0 and 2),
    first_seen timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id()
);

-- One row a request and uid: the compressed, redacted JSON of the request's list (or structure).
-- "taken" are the positions (0-based) in the payload's list of the records that this row contributes:
-- the records that were new (or changed) when it landed. null means all of them.
create table collector.landing (
    landing_id uuid not null default gen_random_uuid(),
    received_at timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id(),
    node uuid not null,
    uid text not null,
    kind text not null,
    schema_version smallint not null default 1,
    tier smallint not null default 0 check (tier between 0 and 2),
    records integer not null check (records > 0),
    taken integer[],
    payload_bytes integer not null,
    payload bytea not null,
    constraint landing_taken_in_payload check (
        taken is null or (cardinality(taken) between 1 and records)
    ),
    primary key (landing_id, received_at)
) partition by range (received_at);

-- The payload is a zstd frame (level 1): Postgres must not try to compress it again.
alter table collector.landing alter column payload set storage external;

create index landing_xid_idx on collector.landing (xid);
create index landing_node_idx on collector.landing (node);

-- Record keys of kinds whose first record wins (action logs): 64 ids of a node in one row.
-- "fresh" are the bits that the last writer set first, so that one statement can say which were new.
create table collector.ledger_bitmap (
    node uuid not null,
    kind text not null,
    bucket bigint not null,
    bits bigint not null,
    fresh bigint not null,
    primary key (node, kind, bucket)
);

-- Record keys of kinds that keep every differing version (workloads).
create table collector.ledger_version (
    node uuid not null,
    kind text not null,
    subtype text not null,
    external_id bigint not null,
    digest bytea not null,
    primary key (node, kind, subtype, external_id)
);

-- Kinds with one record a node that are landed when they differ from the latest (structures).
create table collector.ledger_latest (
    node uuid not null,
    kind text not null,
    digest bytea not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (node, kind)
);

-- That a node was heard from on a (UTC receive) day, even when nothing was landed.
create table collector.contact (
    node uuid not null,
    uid text not null,
    day date not null,
    tier smallint not null default 0,
    first_at timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id(),
    primary key (node, day)
);

create index contact_xid_idx on collector.contact (xid);

-- What was refused is kept, once, with a counter.
create table collector.quarantine (
    quarantine_id bigint generated always as identity primary key,
    kind text not null,
    node uuid,
    uid text,
    reason_code text not null,
    reason text not null,
    position integer,
    digest bytea not null,
    payload_bytes integer not null,
    payload bytea,
    tier smallint not null default 0,
    state text not null default 'open' check (state in ('open', 'replayed', 'discarded')),
    seen_count bigint not null default 1,
    first_seen timestamptz not null default clock_timestamp(),
    last_seen timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id(),
    unique (digest, kind, reason_code)
);

-- Decisions about installations that were taken elsewhere (an original collector's filtering, an operator).
create table collector.installation_decision (
    node uuid primary key,
    uid text not null,
    is_filtered boolean not null,
    source text not null,
    decided_at timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id()
);

-- Creates the monthly partitions that cover [from_day, to_day]; says how many were created.
-- A new one is built beside and attached, so that writers never wait on more than a short lock.
create function collector.ensure_partitions(from_day date, to_day date)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, collector
set timezone = 'UTC'
as $$
declare
    month_start date := date_trunc('month', from_day)::date;
    name text;
    created integer := 0;
begin
    while month_start <= to_day loop
        name := 'landing_' || to_char(month_start, 'YYYYMM');
        if to_regclass('collector.' || name) is null then
            execute format(
                'create table collector.%I (like collector.landing including defaults including constraints including storage)', name);
            execute format(
                'alter table collector.landing attach partition collector.%I for values from (%L) to (%L)',
                name, month_start::timestamptz, (month_start + interval '1 month')::timestamptz);
            created := created + 1;
        end if;
        month_start := (month_start + interval '1 month')::date;
    end loop;
    return created;
end
$$;

revoke all on function collector.ensure_partitions(date, date) from public;

-- Days from today until the first day that no partition covers. What readiness, status and alarms read.
create function collector.partition_runway_days()
returns integer
language sql
stable
security definer
set search_path = pg_catalog, collector
as $$
    with recursive bounds as (
        select
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz as lower_bound,
            (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz as upper_bound
        from pg_inherits as i
        inner join pg_class as c on i.inhrelid = c.oid
        where i.inhparent = 'collector.landing'::regclass and not i.inhdetachpending
    ),
    reach as (
        select now() as reached
        union all
        select b.upper_bound
        from reach as r
        inner join bounds as b on b.lower_bound <= r.reached and b.upper_bound > r.reached
    )
    select extract(day from max(reached) - now())::integer from reach
$$;

select collector.ensure_partitions(
    (now() at time zone 'UTC')::date,
    ((now() at time zone 'UTC') + interval '3 months')::date
);

-- Least privilege. The roles exist already: they are made for the whole cluster before the migrations run.
grant usage on schema collector to fuel_ingest, fuel_extract;
grant insert on collector.landing, collector.contact, collector.node, collector.quarantine to fuel_ingest;
grant insert, select, update on collector.ledger_bitmap, collector.ledger_version, collector.ledger_latest
to fuel_ingest;
grant select on collector.node to fuel_ingest;
grant select (node, day) on collector.contact to fuel_ingest;
grant select (quarantine_id, digest, kind, reason_code, seen_count), update (seen_count, last_seen, xid)
on collector.quarantine to fuel_ingest;
grant execute on function collector.partition_runway_days() to fuel_ingest, fuel_extract;
grant select on all tables in schema collector to fuel_extract;
