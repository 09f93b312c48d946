-- Checks of integrity by day: what is not yet in the facts, how far the checks have come, and an index to read a day.

alter table ops.integrity add column pending_count bigint not null default 0;
comment on column ops.integrity.pending_count is
'Records in raw of loads that the facts were not built from yet: fact_count may be smaller by as many.';

create table ops.integrity_run (
    run_id bigint generated always as identity primary key,
    load_id bigint not null,
    days integer not null,
    mismatches integer not null,
    ledger_total jsonb not null,
    detail text[] not null default '{}',
    started_at timestamptz not null,
    checked_at timestamptz not null default clock_timestamp()
);

grant select on ops.integrity_run to fuel_analytics;

-- Rows arrive nearly in the order of their receive time: a brin index finds a day at no cost for the loader.
create or replace function raw.ensure_kind(kind text)
returns void
language plpgsql
as $$
begin
    if to_regclass(format('raw.%I', kind)) is null then
        execute format('create table raw.%I (like raw.record_template, primary key (landing_id, position))', kind);
        execute format('create index on raw.%I (load_id)', kind);
        execute format('create index on raw.%I (installation_key, received_at)', kind);
        execute format('create index on raw.%I using brin (received_at) with (autosummarize = on)', kind);
    end if;
end
$$;

do $$
declare
    kind text;
begin
    for kind in
        select c.relname from pg_class as c
        where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r'
        and exists (
            select from pg_attribute as a
            where a.attrelid = c.oid and a.attname = 'record' and not a.attisdropped
        )
        and c.relname not in ('record_template', 'removed_record')
    loop
        execute format('create index on raw.%I using brin (received_at) with (autosummarize = on)', kind);
    end loop;
end
$$;
