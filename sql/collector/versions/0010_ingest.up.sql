-- What the collector's own statements need beyond the landing contract.

-- How often a key was landed: 1 tells a first version from a later one in the statement that writes it.
alter table collector.ledger_version add column versions integer not null default 1;
alter table collector.ledger_latest add column versions integer not null default 1;

create index quarantine_node_idx on collector.quarantine (node);

-- Erasing a node is a delete; says how many rows left which table. Only the owner may do it.
create function collector.erase_node(erased_uid text)
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

revoke all on function collector.erase_node(text) from public;
