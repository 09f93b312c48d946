-- A record's content is sealed by the bytes that are stored. Writing each one out as text again to hash that cost the
-- analytic server a third of an extraction.

-- Nobody may load, or check, while seals change their meaning.
select pg_advisory_xact_lock(hashtextextended('fuel-stat.extraction', 0));
select pg_advisory_xact_lock(hashtextextended('fuel-stat.integrity', 0));

-- Explicit only, and it computes nothing: the stored form of a jsonb, whose layout no version of Postgres has changed.
-- Only a superuser may make such a cast.
set local role none;
create cast (jsonb as bytea) without function;
set local role fuel_warehouse;

-- Each seal moves by what its rows' hashes move by, so an intact place stays intact and what had been damaged before
-- still differs, by as much.
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
        execute format(
            $sql$
            update ops.raw_seal as s
            set record_hash = s.record_hash + moved.by
            from (
                select
                    (received_at at time zone 'UTC')::date as received_day,
                    tier,
                    sum(hash_record_extended(row(record::bytea), uuid_hash_extended(landing_id, position)))
                    - sum(ops.record_hash(landing_id, position, record)) as by
                from raw.%I
                group by 1, 2
            ) as moved
            where s.kind = %L and s.received_day = moved.received_day and s.tier = moved.tier
            $sql$, kind, kind);
    end loop;
end
$$;

-- 64 bits over a record's identity and content. Postgres keeps these hash functions the same between
-- versions, because hash partitions depend on it.
create or replace function ops.record_hash(landing_id uuid, "position" integer, record jsonb)
returns bigint
language sql
immutable
parallel safe
return hash_record_extended(row(record::bytea), uuid_hash_extended(landing_id, "position")); -- noqa: RF06
