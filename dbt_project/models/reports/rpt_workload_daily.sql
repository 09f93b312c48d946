select
    days.stats_on_date,
    days.resource_type,
    count(distinct days.installation_key) as installations,
    count(*) as environments,
    sum(days.current_count)::bigint as resources,
    sum(days.added_count)::bigint as added,
    sum(days.modified_count)::bigint as modified,
    sum(days.removed_count)::bigint as removed
from {{ ref('fct_workload_daily') }} as days
inner join {{ ref('dim_installation') }} as installations on days.installation_key = installations.installation_key
where not installations.is_filtered
group by days.stats_on_date, days.resource_type
