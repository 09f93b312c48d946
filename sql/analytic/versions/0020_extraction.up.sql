-- What extraction keeps beside the rows: windows to compare with the source again, seals of raw's content,
-- what was taken out again, schema drift, and the integrity report.

alter table ops.load
add column mode text not null default 'window' check (mode in ('window', 'resync', 'reload')),
add column superseded_by bigint,
add column source_xmax xid8,
add column max_row_xid xid8,
add column contacts bigint not null default 0,
add column unreadable bigint not null default 0,
add column removed bigint not null default 0,
add column drift_scanned boolean not null default false,
add column alarms jsonb not null default '[]';

comment on column ops.load.superseded_by is
'The load that compared this window again after a restore or promotion; its rows may still be in raw.';
comment on column ops.load.source_xmax is
'First transaction not completed when the window was read: whatever has this xid or more was committed later.';

-- What the source said in a window, by kind, receive day (UTC) and tier. Kind "contact" counts contact rows.
-- landing_hash is the sum of uuid_hash_extended(landing_id, position) over the records: the order plays no part.
create table ops.load_window (
    load_id bigint not null references ops.load (load_id),
    kind text not null,
    received_day date not null,
    tier smallint not null,
    landings bigint not null,
    records bigint not null,
    bytes bigint not null,
    landing_hash numeric not null,
    primary key (load_id, kind, received_day, tier)
);

-- What raw must contain, kept by the transactions that may change raw, so that a row which was
-- deleted, added or altered by anybody else is noticed.
create table ops.raw_seal (
    kind text not null,
    received_day date not null,
    tier smallint not null,
    records bigint not null,
    record_hash numeric not null,
    primary key (kind, received_day, tier)
);

-- 64 bits over a record's identity and content. Postgres keeps these hash functions the same between
-- versions, because hash partitions depend on it.
create function ops.record_hash(landing_id uuid, "position" integer, record jsonb)
returns bigint
language sql
immutable
parallel safe
return hashtextextended(record::text collate "C", uuid_hash_extended(landing_id, "position")); -- noqa: RF06

-- Records that a comparison with the source removed from raw, as they were. load_id is the load that removed them.
create table raw.removed_record (
    load_id bigint not null,
    kind text not null,
    landing_id uuid not null,
    position integer not null,
    installation_key uuid not null,
    received_at timestamptz not null,
    tier smallint not null,
    record jsonb not null,
    primary key (load_id, landing_id, position)
);

create index on raw.removed_record (installation_key);

-- Paths of records as they were first seen: no values.
create table ops.schema_path (
    kind text not null,
    path text not null,
    type text not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    records bigint not null,
    releases text[] not null default '{}',
    first_load_id bigint not null,
    primary key (kind, path, type)
);

-- The integrity report: the latest check of each receive day. A null count means that the stage is not there.
create table ops.integrity (
    kind text not null,
    received_day date not null,
    tier smallint not null,
    ledger_count bigint,
    ledger_hash numeric,
    landed_count bigint,
    landed_hash numeric,
    raw_count bigint,
    raw_hash numeric,
    fact_count bigint,
    fact_hash numeric,
    published_count bigint,
    published_hash numeric,
    sealed_content_hash numeric,
    raw_content_hash numeric,
    agrees boolean not null,
    disagreement text,
    checked_at timestamptz not null default clock_timestamp(),
    primary key (kind, received_day, tier)
);

create index on ops.integrity (agrees) where not agrees;

-- Removes an installation from all that extraction wrote, and keeps the seals right: for erasure.
create function ops.remove_installation(key uuid)
returns bigint
language plpgsql
as $$
declare
    name text;
    removed bigint := 0;
    step bigint;
begin
    insert into ops.touched_installation (installation_key, reason) values (key, 'erased')
    on conflict (installation_key) do update set from_day = null, publication_id = null, reason = excluded.reason;
    perform pg_advisory_xact_lock(hashtextextended('fuel-stat.extraction', 0));
    for name in
        select c.relname from pg_class as c
        where c.relnamespace = 'raw'::regnamespace and c.relkind = 'r'
        and exists (
            select from pg_attribute as a
            where a.attrelid = c.oid and a.attname = 'record' and not a.attisdropped
        )
        and c.relname not in ('record_template', 'removed_record')
    loop
        execute format(
            $sql$
            with gone as (
                delete from raw.%I where installation_key = $1
                returning landing_id, position, received_at, tier, record
            ),
            sums as (
                select
                    (received_at at time zone 'UTC')::date as received_day,
                    tier,
                    count(*) as records,
                    sum(ops.record_hash(landing_id, position, record)) as record_hash
                from gone
                group by 1, 2
            ),
            unsealed as (
                update ops.raw_seal as s
                set records = s.records - sums.records, record_hash = s.record_hash - sums.record_hash
                from sums
                where s.kind = $2 and s.received_day = sums.received_day and s.tier = sums.tier
            )
            select coalesce(sum(records), 0) from sums
            $sql$, name)
        into step using key, name;
        removed := removed + step;
    end loop;
    delete from raw.removed_record where installation_key = key;
    delete from raw.contact where installation_key = key;
    delete from raw.installation_decision where installation_key = key;
    return removed;
end
$$;

do $$
declare
    relation text;
begin
    foreach relation in array array[
        'ops.load_window', 'ops.raw_seal', 'raw.removed_record', 'ops.schema_path', 'ops.integrity'
    ]
    loop
        execute format('alter table %s owner to fuel_warehouse', relation);
    end loop;
end
$$;

alter function ops.record_hash(uuid, integer, jsonb) owner to fuel_warehouse;
alter function ops.remove_installation(uuid) owner to fuel_warehouse;
revoke all on function ops.remove_installation(uuid) from public;

grant select on ops.load_window, ops.integrity, ops.schema_path to fuel_analytics;
