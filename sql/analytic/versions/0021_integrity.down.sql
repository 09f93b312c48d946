create or replace function raw.ensure_kind(kind text)
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

do $$
declare
    index_name text;
begin
    for index_name in
        select format('%I.%I', i.schemaname, i.indexname) from pg_indexes as i
        where i.schemaname = 'raw' and i.indexdef like '%using brin (received_at)%'
    loop
        execute 'drop index ' || index_name;
    end loop;
end
$$;

drop table ops.integrity_run;
alter table ops.integrity drop column pending_count;
