-- Action logs of one installation as its node sent them (redacted). The published fact carries no copy of the
-- records, only where they are in raw; readers may not read raw, so this function looks up those, and only those,
-- that the publication being read contains. plpgsql, because the view is made by the first publication.
create function marts.action_records(keys uuid[], how_many bigint, skipped bigint)
returns table (installation_key uuid, external_id bigint, body jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog
as $$
begin
    return query
    select page.installation_key, page.external_id, r.record -> 'body'
    from (
        select a.installation_key, a.external_id, a.landing_id, a.position
        from marts.fct_action as a
        where a.installation_key = any(keys)
        order by a.external_id
        limit how_many offset skipped
    ) as page
    inner join raw.action_logs as r on page.landing_id = r.landing_id and page.position = r.position
    order by page.external_id;
end
$$;

alter function marts.action_records(uuid[], bigint, bigint) owner to fuel_warehouse;
revoke all on function marts.action_records(uuid[], bigint, bigint) from public;
grant execute on function marts.action_records(uuid[], bigint, bigint) to fuel_analytics;
