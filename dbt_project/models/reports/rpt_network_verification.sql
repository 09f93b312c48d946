select
    dates.week_start,
    installations.release,
    count(*) as verifications,
    count(*) filter (where actions.is_failed) as failures,
    count(*) filter (where not actions.is_failed) as successes,
    round(count(*) filter (where actions.is_failed) / nullif(count(actions.is_failed), 0)::numeric, 4) as failure_rate,
    count(distinct actions.cluster_key) as environments,
    count(distinct actions.installation_key) as installations
from {{ ref('fct_action') }} as actions
inner join {{ ref('dim_action') }} as kinds on actions.action_key = kinds.action_key and kinds.is_network_verification
inner join {{ ref('dim_installation') }} as installations
    on actions.installation_key = installations.installation_key
inner join {{ ref('dim_date') }} as dates on actions.event_day = dates.date_day
where not installations.is_filtered
group by dates.week_start, installations.release
