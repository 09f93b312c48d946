with active as (
    select
        weeks.installation_key,
        weeks.week_start,
        min(weeks.week_start) over (partition by weeks.installation_key) as cohort_week
    from {{ ref('int_contacts_weekly') }} as weeks
    inner join {{ ref('dim_installation') }} as installations
        on weeks.installation_key = installations.installation_key
    where not installations.is_filtered
),

counted as (
    select
        active.cohort_week,
        (active.week_start - active.cohort_week) / 7 as weeks_since,
        count(*) as active_installations
    from active
    group by active.cohort_week, (active.week_start - active.cohort_week) / 7
)

select
    counted.cohort_week,
    counted.weeks_since,
    counted.active_installations,
    first_weeks.active_installations as cohort_installations,
    round(counted.active_installations / first_weeks.active_installations::numeric, 4) as retention_rate
from counted
inner join counted as first_weeks on counted.cohort_week = first_weeks.cohort_week and first_weeks.weeks_since = 0
