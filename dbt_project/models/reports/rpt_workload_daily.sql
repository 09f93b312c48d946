-- Counted from where each record begins and ends to count, so that the work follows the records, not the days. From
-- its first record on, a series is there until the installation's last contact.
with spans as (
    select
        facts.*,
        least(facts.next_day - 1, installations.last_contact_day) as last_day,
        installations.last_contact_day,
        (row_number() over (
            partition by facts.installation_key, facts.resource_type order by facts.record_day, facts.cluster_key
        ) = 1)::integer as is_first_of_installation,
        (row_number() over (
            partition by facts.cluster_key, facts.resource_type order by facts.record_day
        ) = 1)::integer as is_first_of_environment
    from {{ ref('fct_workload_span') }} as facts
    inner join {{ ref('dim_installation') }} as installations
        on facts.installation_key = installations.installation_key
    where not installations.is_filtered and facts.record_day <= installations.last_contact_day
),

steps as (
    select
        spans.record_day as day,
        spans.resource_type,
        spans.is_first_of_installation as installations,
        spans.is_first_of_environment as environments,
        spans.current_count as resources,
        case when spans.is_repeated then 0 else spans.added_count end as added,
        case when spans.is_repeated then 0 else spans.modified_count end as modified,
        case when spans.is_repeated then 0 else spans.removed_count end as removed
    from spans
    union all
    select
        spans.last_day + 1,
        spans.resource_type,
        0,
        0,
        -spans.current_count,
        0,
        0,
        0
    from spans
    union all
    select
        spans.last_contact_day + 1,
        spans.resource_type,
        -spans.is_first_of_installation,
        -spans.is_first_of_environment,
        0,
        0,
        0,
        0
    from spans
    where spans.is_first_of_environment = 1
),

changes as (
    select
        steps.day,
        steps.resource_type,
        sum(steps.installations) as installations,
        sum(steps.environments) as environments,
        sum(steps.resources) as resources,
        sum(steps.added) as added,
        sum(steps.modified) as modified,
        sum(steps.removed) as removed
    from steps
    group by steps.day, steps.resource_type
),

lifetimes as (
    select
        changes.resource_type,
        min(changes.day) as first_day,
        max(changes.day) as end_day
    from changes
    group by changes.resource_type
),

counted as (
    select
        dates.date_day,
        lifetimes.resource_type,
        sum(changes.installations) over so_far as installations,
        sum(changes.environments) over so_far as environments,
        sum(changes.resources) over so_far as resources,
        coalesce(changes.added, 0) as added,
        coalesce(changes.modified, 0) as modified,
        coalesce(changes.removed, 0) as removed
    from lifetimes
    inner join {{ ref('dim_date') }} as dates
        on lifetimes.first_day <= dates.date_day and lifetimes.end_day > dates.date_day
    left join changes on lifetimes.resource_type = changes.resource_type and dates.date_day = changes.day
    window so_far as (
        partition by lifetimes.resource_type order by dates.date_day rows between unbounded preceding and current row
    )
)

select
    counted.date_day as stats_on_date,
    counted.resource_type,
    counted.installations::bigint as installations,
    counted.environments::bigint as environments,
    counted.resources::bigint as resources,
    counted.added::bigint as added,
    counted.modified::bigint as modified,
    counted.removed::bigint as removed
from counted
where counted.environments > 0
