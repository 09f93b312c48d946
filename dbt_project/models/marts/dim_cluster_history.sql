-- A row begins where a cluster appears or one of these attributes changes, and ends where the next one begins or
-- where a structure no longer names the cluster.
{%- set attributes = [
    'status', 'mode', 'nodes_num', 'release_name', 'release_version', 'release_os', 'fuel_version', 'is_customized',
    'hypervisor', 'net_provider', 'segmentation_type', 'net_l23_provider', 'net_manager', 'plugins_count'
] + cluster_switches() %}

with versions as (
    select
        clusters.*,
        structures.valid_from,
        structures.valid_to,
        md5(row(
            {%- for attribute in attributes %}
            clusters.{{ attribute }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        )::text) as said
    from {{ ref('int_clusters_unpacked') }} as clusters
    inner join {{ ref('int_structures_versioned') }} as structures
        on clusters.landing_id = structures.landing_id and clusters.structure_position = structures.position
    where
        clusters.is_identified
        and (structures.valid_to is null or structures.valid_to > structures.valid_from)
),

marked as (
    select
        versions.*,
        (
            versions.said is distinct from lag(versions.said) over by_cluster
            or versions.valid_from is distinct from lag(versions.valid_to) over by_cluster
        ) as is_change
    from versions
    window by_cluster as (partition by versions.cluster_key order by versions.valid_from)
),

numbered as (
    select
        marked.*,
        count(*) filter (where marked.is_change) over (
            partition by marked.cluster_key order by marked.valid_from
        ) as version_number
    from marked
),

ends as (
    select
        numbered.cluster_key,
        numbered.version_number,
        case when bool_or(numbered.valid_to is null) then null else max(numbered.valid_to) end as valid_to
    from numbered
    group by numbered.cluster_key, numbered.version_number
)

select
    {{ surrogate_key(['numbered.cluster_key', 'numbered.valid_from']) }} as cluster_version_key,
    numbered.cluster_key,
    numbered.installation_key,
    numbered.cluster_id,
    numbered.valid_from,
    ends.valid_to,
    ends.valid_to is null as is_current,
    numbered.version_number,
    {%- for attribute in attributes %}
    numbered.{{ attribute }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from numbered
inner join ends
    on numbered.cluster_key = ends.cluster_key and numbered.version_number = ends.version_number
where numbered.is_change
