select pg_advisory_xact_lock(hashtextextended('fuel-stat.extraction', 0));
select pg_advisory_xact_lock(hashtextextended('fuel-stat.integrity', 0));

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
                    sum(hashtextextended(record::text collate "C", uuid_hash_extended(landing_id, position)))
                    - sum(ops.record_hash(landing_id, position, record)) as by
                from raw.%I
                group by 1, 2
            ) as moved
            where s.kind = %L and s.received_day = moved.received_day and s.tier = moved.tier
            $sql$, kind, kind);
    end loop;
end
$$;

create or replace function ops.record_hash(landing_id uuid, "position" integer, record jsonb)
returns bigint
language sql
immutable
parallel safe
return hashtextextended(record::text collate "C", uuid_hash_extended(landing_id, "position")); -- noqa: RF06

set local role none;
drop cast (jsonb as bytea);
set local role fuel_warehouse;
