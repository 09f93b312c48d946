with active as (
    select
        weeks.installation_key,
        weeks.week_start,
        lag(weeks.week_start) over by_installation as week_before,
        lead(weeks.week_start) over by_installation as week_after
    from {{ ref('int_contacts_weekly') }} as weeks
    inner join {{ ref('dim_installation') }} as installations
        on weeks.installation_key = installations.installation_key
    where not installations.is_filtered
    window by_installation as (partition by weeks.installation_key order by weeks.week_start)
),

counted as (
    select
        active.week_start,
        count(*) as active_installations,
        count(*) filter (where active.week_before is null) as new_installations,
        count(*) filter (where active.week_before = active.week_start - 7) as retained_installations,
        count(*) filter (where active.week_before < active.week_start - 7) as returning_installations
    from active
    group by active.week_start
),

-- Lost in a week: heard from in the week before, and not in this one.
lost as (
    select
        (active.week_start + 7) as week_start,
        count(*) as lost_installations
    from active
    where active.week_after is null or active.week_after > active.week_start + 7
    group by active.week_start
)

select
    dates.date_day as week_start,
    coalesce(counted.active_installations, 0) as active_installations,
    coalesce(counted.new_installations, 0) as new_installations,
    coalesce(counted.retained_installations, 0) as retained_installations,
    coalesce(counted.returning_installations, 0) as returning_installations,
    coalesce(lost.lost_installations, 0) as lost_installations,
    dates.date_day + 7 <= {{ as_of() }}::date as is_complete
from {{ ref('dim_date') }} as dates
left join counted on dates.date_day = counted.week_start
left join lost on dates.date_day = lost.week_start
where
    dates.iso_weekday = 1
    and dates.date_day >= (select min(firsts.week_start) from counted as firsts)
    and dates.date_day <= least((select max(lasts.week_start) + 7 from counted as lasts), {{ as_of() }}::date)
