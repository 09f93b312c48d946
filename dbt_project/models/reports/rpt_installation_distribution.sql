-- Unfiltered installations, their latest structure. An element of "clusters" that is no object still counts as an
-- environment, as it did in the original; an installation without any counts none.
with installations as (
    select
        versions.installation_key,
        versions.landing_id,
        versions.position,
        versions.release,
        versions.clusters_num,
        coalesce(versions.clusters_num_text, 'null') as clusters_num_text
    from {{ ref('int_structures_versioned') }} as versions
    inner join {{ ref('dim_installation') }} as dims on versions.installation_key = dims.installation_key
    where versions.is_current and not dims.is_filtered
),

environments as (
    select
        installations.release,
        coalesce(installations.clusters_num <> 0, false) as is_counted,
        coalesce(clusters.status in ('operational', 'error'), false) as is_operable,
        clusters.status,
        nullif(clusters.nodes_num_text, '') as nodes_num,
        nullif(clusters.hypervisor, '') as hypervisor,
        nullif(lower(clusters.release_os), '') as release_os
    from installations
    left join {{ ref('int_clusters_unpacked') }} as clusters
        on installations.landing_id = clusters.landing_id and installations.position = clusters.structure_position
),

measures as (
    select
        installations.release,
        'installations' as measure,
        '' as item
    from installations
    union all
    select
        installations.release,
        'environments_num',
        installations.clusters_num_text
    from installations
    union all
    select
        environments.release,
        'environments',
        ''
    from environments
    where environments.is_counted
    union all
    select
        environments.release,
        'operable_envs_count',
        ''
    from environments
    where environments.is_operable and environments.nodes_num is not null
    union all
    select
        environments.release,
        'statuses',
        environments.status
    from environments
    where environments.status is not null
    union all
    select
        environments.release,
        'nodes_num',
        environments.nodes_num
    from environments
    where environments.is_operable and environments.nodes_num is not null
    union all
    select
        environments.release,
        'hypervisors_num',
        environments.hypervisor
    from environments
    where environments.is_operable and environments.hypervisor is not null
    union all
    select
        environments.release,
        'oses_num',
        environments.release_os
    from environments
    where environments.is_operable and environments.release_os is not null
)

select
    measures.release,
    measures.measure,
    measures.item,
    count(*) as amount
from measures
group by measures.release, measures.measure, measures.item
