-- Counted from where each structure version begins and ends, so that the work follows the versions, not the days.
-- Days are receive days: from the first contact to the last.
with sizes as (
    select
        clusters.landing_id,
        clusters.structure_position,
        count(*) as environments,
        count(*) filter (where clusters.status in ('operational', 'error')) as operable_environments,
        coalesce(sum(clusters.nodes_num) filter (where clusters.nodes_num between 0 and 1000000), 0) as nodes
    from {{ ref('int_clusters_unpacked') }} as clusters
    where clusters.is_identified
    group by clusters.landing_id, clusters.structure_position
),

spans as (
    select
        installations.first_contact_day as from_day,
        installations.last_contact_day as to_day,
        1 as installations,
        0 as environments,
        0 as operable_environments,
        0 as nodes
    from {{ ref('dim_installation') }} as installations
    where not installations.is_filtered
    union all
    select
        versions.valid_from_day,
        greatest(
            least(installations.last_contact_day, coalesce(versions.valid_to_day - 1, 'infinity'::date)),
            versions.valid_from_day
        ),
        0,
        sizes.environments,
        sizes.operable_environments,
        sizes.nodes
    from {{ ref('int_structures_versioned') }} as versions
    inner join {{ ref('dim_installation') }} as installations
        on versions.installation_key = installations.installation_key
    inner join sizes
        on versions.landing_id = sizes.landing_id and versions.position = sizes.structure_position
    where
        not installations.is_filtered
        and (versions.valid_to_day is null or versions.valid_to_day > versions.valid_from_day)
),

steps as (
    select
        spans.from_day as day,
        spans.installations,
        spans.environments,
        spans.operable_environments,
        spans.nodes
    from spans
    union all
    select
        spans.to_day + 1,
        -spans.installations,
        -spans.environments,
        -spans.operable_environments,
        -spans.nodes
    from spans
),

changes as (
    select
        steps.day,
        sum(steps.installations) as installations,
        sum(steps.environments) as environments,
        sum(steps.operable_environments) as operable_environments,
        sum(steps.nodes) as nodes
    from steps
    group by steps.day
)

select
    dates.date_day as day,
    coalesce(sum(changes.installations) over so_far, 0)::bigint as installations,
    coalesce(sum(changes.environments) over so_far, 0)::bigint as environments,
    coalesce(sum(changes.operable_environments) over so_far, 0)::bigint as operable_environments,
    coalesce(sum(changes.nodes) over so_far, 0)::bigint as nodes
from {{ ref('dim_date') }} as dates
left join changes on dates.date_day = changes.day
where
    dates.date_day >= (select min(firsts.day) from changes as firsts)
    and dates.date_day <= least((select max(lasts.day) - 1 from changes as lasts), {{ as_of() }}::date)
window so_far as (order by dates.date_day rows between unbounded preceding and current row)
