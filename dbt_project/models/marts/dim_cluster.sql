-- What the latest structure that names a cluster says of it. A cluster that only actions or workloads name is
-- inferred: known by its id alone.
with ranked as (
    select
        clusters.*,
        min(clusters.received_at) over (partition by clusters.cluster_key) as first_seen_at,
        row_number() over (
            partition by clusters.cluster_key
            order by clusters.received_at desc, clusters.landing_id desc, clusters.structure_position desc
        ) as recency
    from {{ ref('int_clusters_unpacked') }} as clusters
    where clusters.is_identified
),

named as (
    select ranked.*
    from ranked
    where ranked.recency = 1
),

mentioned as (
    select
        actions.cluster_key,
        actions.installation_key,
        actions.cluster_id
    from ({{ skip_scan(ref('fct_action'), 'cluster_key') }}) as keys
    cross join
        lateral (
            select
                facts.cluster_key,
                facts.installation_key,
                facts.cluster_id
            from {{ ref('fct_action') }} as facts
            where facts.cluster_key = keys.cluster_key
            order by facts.cluster_key
            limit 1
        ) as actions
    union
    select
        workloads.cluster_key,
        workloads.installation_key,
        workloads.cluster_id
    from {{ ref('fct_workload_record') }} as workloads
    where workloads.cluster_key is not null
)

select
    coalesce(named.cluster_key, mentioned.cluster_key) as cluster_key,
    coalesce(named.installation_key, mentioned.installation_key) as installation_key,
    coalesce(named.cluster_id, mentioned.cluster_id) as cluster_id,
    named.cluster_key is null as is_inferred,
    {{ utc('named.first_seen_at') }} as first_seen_at,
    {{ utc('named.received_at') }} as last_seen_at,
    current_structures.landing_id is not null as is_current,
    named.status,
    coalesce(named.status in ('operational', 'error'), false) as is_operable,
    named.mode,
    named.nodes_num,
    {{ size_class('named.nodes_num') }} as size_class,
    named.release_name,
    named.release_version,
    named.release_os,
    named.fuel_version,
    named.is_customized,
    named.hypervisor,
    named.net_provider,
    named.segmentation_type,
    named.net_l23_provider,
    named.net_manager,
    {%- for switch in cluster_switches() %}
    coalesce(named.{{ switch }}, false) as {{ switch }},
    {%- endfor %}
    named.plugins_count
from named
full join mentioned on named.cluster_key = mentioned.cluster_key
left join {{ ref('int_structures_versioned') }} as current_structures
    on
        named.landing_id = current_structures.landing_id
        and named.structure_position = current_structures.position
        and current_structures.is_current
