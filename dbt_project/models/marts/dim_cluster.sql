-- What the latest structure that names a cluster says of it. A cluster that only actions or workloads name is
-- inferred: known by its id alone.
-- The clusters are found by skipping along indexes, so that the work follows the clusters, not their history.
with named as (
    select
        latest.*,
        (
            select min(clusters.received_at)
            from {{ ref('int_clusters_unpacked') }} as clusters
            where clusters.cluster_key = keys.cluster_key
        ) as first_seen_at
    from ({{ skip_scan(ref('int_clusters_unpacked'), 'cluster_key') }}) as keys
    cross join
        lateral (
            select clusters.*
            from {{ ref('int_clusters_unpacked') }} as clusters
            where clusters.cluster_key = keys.cluster_key
            order by clusters.received_at desc, clusters.landing_id desc, clusters.structure_position desc
            limit 1
        ) as latest
),

mentioned as (
    {%- for fact in ['fct_action', 'fct_workload_record'] %}
    select
        facts.cluster_key,
        facts.installation_key,
        facts.cluster_id
    from ({{ skip_scan(ref(fact), 'cluster_key') }}) as keys
    cross join
        lateral (
            select
                facts.cluster_key,
                facts.installation_key,
                facts.cluster_id
            from {{ ref(fact) }} as facts
            where facts.cluster_key = keys.cluster_key
            order by facts.cluster_key
            limit 1
        ) as facts
    {% if not loop.last %}union{% endif %}
    {%- endfor %}
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
