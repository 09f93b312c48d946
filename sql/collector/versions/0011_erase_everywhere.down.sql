create or replace function collector.erase_node(erased_uid text)
returns table (relation text, erased bigint)
language plpgsql
set search_path = pg_catalog, collector
as $$
declare
    erased_node uuid := encode(substring(sha256(convert_to(erased_uid, 'UTF8')) for 16), 'hex')::uuid;
begin
    foreach relation in array array[
        'landing', 'ledger_bitmap', 'ledger_version', 'ledger_latest', 'contact', 'quarantine',
        'installation_decision', 'node'
    ] loop
        execute format('delete from collector.%I where node = $1', relation) using erased_node;
        get diagnostics erased = row_count;
        return next;
    end loop;
end
$$;
