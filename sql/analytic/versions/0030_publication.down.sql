drop view if exists ops.publication_status, ops.audit_trend;
do $$
declare
    relation record;
begin
    for relation in select format('%I.%I', schemaname, viewname) as name from pg_views where schemaname = 'marts' loop
        execute format('drop view %s cascade', relation.name);
    end loop;
    for relation in select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'pub' loop
        execute format('drop table %s cascade', relation.name);
    end loop;
end
$$;
drop table if exists ops.published, ops.audit_result, ops.publication_table, ops.dbt_result,
ops.publication_step, ops.pinned_load, ops.touched_installation, ops.publication_load, ops.publication;
drop function if exists ops.check_publication_state(), ops.check_publication_birth(), ops.check_published(),
ops.visible_publication();
