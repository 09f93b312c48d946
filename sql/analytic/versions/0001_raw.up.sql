-- The analytic database, first layer: raw (redacted) records, one row each, and the loads that brought them.
-- Schemas: raw (what was extracted), ops (loads, publications, audits), build (where dbt builds),
-- pub (versioned published tables), marts (what readers see).

create schema raw;
create schema ops;
create schema build;
create schema pub;
create schema marts;

-- One row an extraction. A window is [from_xid, to_xid) of the collector cluster's transactions.
create table ops.load (
    load_id bigint generated always as identity primary key,
    state text not null default 'loaded' check (state in ('running', 'loaded', 'failed')),
    reason text not null default 'scheduled',
    system_identifier text,
    timeline integer,
    from_xid xid8,
    to_xid xid8,
    landings bigint not null default 0,
    records bigint not null default 0,
    bytes bigint not null default 0,
    window_count bigint not null default 0,
    window_hash numeric not null default 0,
    lag_seconds double precision,
    oldest_transaction jsonb,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    error text
);

-- Every kind has a table of this shape, made from this template: a new kind needs no migration.
-- installation_key is the pseudonym: the first 16 bytes of HMAC-SHA256(pepper, uid), as a uuid.
-- record is the record as landed without the node's uid.
create table raw.record_template (
    landing_id uuid not null,
    position integer not null,
    load_id bigint not null,
    installation_key uuid not null,
    received_at timestamptz not null,
    tier smallint not null,
    record jsonb not null
);

create function raw.ensure_kind(kind text)
returns void
language plpgsql
as $$
begin
    if to_regclass(format('raw.%I', kind)) is null then
        execute format('create table raw.%I (like raw.record_template, primary key (landing_id, position))', kind);
        execute format('create index on raw.%I (load_id)', kind);
        execute format('create index on raw.%I (installation_key, received_at)', kind);
    end if;
end
$$;

select raw.ensure_kind(kind) from unnest(array['action_logs', 'installation_structure', 'oswl_stats']) as kind;

create table raw.contact (
    installation_key uuid not null,
    day date not null,
    tier smallint not null,
    first_at timestamptz not null,
    load_id bigint not null,
    primary key (installation_key, day)
);

create table raw.installation_decision (
    installation_key uuid primary key,
    is_filtered boolean not null,
    source text not null,
    decided_at timestamptz not null,
    load_id bigint not null
);

alter schema raw owner to fuel_warehouse;
alter schema ops owner to fuel_warehouse;
alter schema build owner to fuel_warehouse;
alter schema pub owner to fuel_warehouse;
alter schema marts owner to fuel_warehouse;

do $$
declare
    relation record;
begin
    for relation in
        select format('%I.%I', schemaname, tablename) as name
        from pg_tables where schemaname in ('raw', 'ops')
    loop
        execute format('alter table %s owner to fuel_warehouse', relation.name);
    end loop;
end
$$;

alter function raw.ensure_kind(text) owner to fuel_warehouse;

grant usage on schema marts, ops to fuel_analytics;
grant select on ops.load to fuel_analytics;
