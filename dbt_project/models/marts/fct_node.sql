{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_from',
    indexes=[
        {'columns': ['installation_key', 'valid_from']},
        {'columns': ['hardware_key']}
    ]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_versions = touched_rows(
    ref('int_structures_versioned'), 'structure_from', 'scanned.valid_from >= touched.structure_from'
) %}
{%- set touched_clusters = touched_rows(
    ref('int_clusters_unpacked'), 'structure_from', 'scanned.received_at >= touched.structure_from'
) %}

with clusters as (
    select
        structures.installation_key,
        structures.landing_id,
        structures.position,
        structures.received_at,
        (elements.ordinality - 1)::integer as cluster_position,
        elements.cluster
    from {{ touched_structures() if is_incremental() else ref('stg_raw__installation_structures') }} as structures
    cross join lateral jsonb_array_elements(structures.clusters) with ordinality as elements (cluster, ordinality)
),

nodes as (
    select
        clusters.*,
        (elements.ordinality - 1)::integer as node_position,
        elements.node,
        {{ json_object("elements.node -> 'meta'") }} as meta
    from clusters
    cross join
        lateral jsonb_array_elements({{ json_array('clusters.cluster', 'nodes') }})
        with ordinality as elements (node, ordinality)
    where jsonb_typeof(elements.node) = 'object'
    -- Evaluated once, however often it is used below; so is what follows.
    offset 0 -- noqa: AM09
),

named as (
    select
        nodes.*,
        {{ known_vendor(json_text('nodes.meta', 'system,manufacturer'), json_text('nodes.node', 'manufacturer')) }}
            as manufacturer,
        {{ known_vendor(json_text('nodes.meta', 'system,product'), json_text('nodes.node', 'platform_name')) }}
            as product
    from nodes
    offset 0 -- noqa: AM09
)

select
    {{ surrogate_key(['named.landing_id', 'named.position', 'named.cluster_position', 'named.node_position']) }}
        as node_key,
    named.installation_key,
    named.received_at as valid_from,
    versions.is_current,
    clusters.cluster_key,
    clusters.cluster_id,
    {{ json_bigint('named.node', 'id') }} as node_id,
    {{ surrogate_key(['named.manufacturer', 'named.product']) }} as hardware_key,
    named.manufacturer,
    named.product,
    {{ json_text('named.node', 'status') }} as status,
    lower({{ json_text('named.node', 'os') }}) as os,
    {{ json_boolean('named.node', 'online') }} as is_online,
    {{ json_boolean('named.node', 'pending_addition') }} as is_pending_addition,
    {{ json_boolean('named.node', 'pending_deletion') }} as is_pending_deletion,
    {{ json_strings('named.node', 'roles') }} as role_combination,
    {{ json_strings('named.node', 'pending_roles') }} as pending_role_combination,
    {{ json_array('named.node', 'roles') }} as roles,
    {{ json_bigint('named.meta', 'cpu,real') }} as cpu_real,
    {{ json_bigint('named.meta', 'cpu,total') }} as cpu_total,
    {{ json_number('named.meta', 'memory,total') }} as memory_bytes,
    {{ json_array_length('named.meta', 'disks') }} as disks_count,
    (
        select sum({{ json_number('disks.disk', 'size') }})
        from jsonb_array_elements({{ json_array('named.meta', 'disks') }}) as disks (disk)
    ) as disks_bytes,
    {{ json_array_length('named.meta', 'interfaces') }} as interfaces_count,
    {{ json_array_length('named.node', 'bond_interfaces') }} as bonds_count
from named
inner join {{ touched_versions if is_incremental() else ref('int_structures_versioned') }} as versions
    on named.landing_id = versions.landing_id and named.position = versions.position
left join {{ touched_clusters if is_incremental() else ref('int_clusters_unpacked') }} as clusters
    on
        named.landing_id = clusters.landing_id
        and named.position = clusters.structure_position
        and named.cluster_position = clusters.cluster_position
        and clusters.is_identified
