-- Erasing a node reaches every table that knows nodes, also those that later migrations add.
create or replace function collector.erase_node(erased_uid text)
returns table (relation text, erased bigint)
language plpgsql
set search_path = pg_catalog, collector
as $$
declare
    erased_node uuid := encode(substring(sha256(convert_to(erased_uid, 'UTF8')) for 16), 'hex')::uuid;
begin
    for relation in
        select c.relname::text
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and a.attname = 'node' and not a.attisdropped
        where c.relnamespace = 'collector'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            -- A block is the operator's decision and must outlive what it was about.
            and c.relname <> 'node_block'
        -- The node's own row goes last: what references it goes before it.
        order by c.relname = 'node', c.relname
    loop
        execute format('delete from collector.%I where node = $1', relation) using erased_node;
        get diagnostics erased = row_count;
        return next;
    end loop;
end
$$;
