{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_from',
    indexes=[{'columns': ['installation_key', 'valid_from']}, {'columns': ['plugin_key']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_versions = touched_rows(
    ref('int_structures_versioned'), 'structure_from', 'scanned.valid_from >= touched.structure_from'
) %}
{%- set touched_clusters = touched_rows(
    ref('int_clusters_unpacked'), 'structure_from', 'scanned.received_at >= touched.structure_from'
) %}

with plugins as (
    select
        structures.installation_key,
        structures.landing_id,
        structures.position,
        structures.received_at,
        (clusters.ordinality - 1)::integer as cluster_position,
        plugins.plugin,
        {{ json_text('plugins.plugin', 'name') }} as plugin_name,
        {{ json_text('plugins.plugin', 'version') }} as plugin_version,
        {{ json_text('plugins.plugin', 'package_version') }} as package_version
    from {{ touched_structures() if is_incremental() else ref('stg_raw__installation_structures') }} as structures
    cross join lateral jsonb_array_elements(structures.clusters) with ordinality as clusters (cluster, ordinality)
    cross join
        lateral jsonb_array_elements({{ json_array('clusters.cluster', 'installed_plugins') }})
            as plugins (plugin)
    where jsonb_typeof(plugins.plugin) = 'object'
)

select distinct
    clusters.cluster_key,
    {{ surrogate_key(['plugins.plugin_name', 'plugins.plugin_version', 'plugins.package_version']) }} as plugin_key,
    plugins.received_at as valid_from,
    plugins.installation_key,
    versions.is_current,
    plugins.plugin_name,
    plugins.plugin_version,
    plugins.package_version
from plugins
inner join {{ touched_versions if is_incremental() else ref('int_structures_versioned') }} as versions
    on
        plugins.landing_id = versions.landing_id
        and plugins.position = versions.position
        -- Two structures of one instant: the later one stands.
        and (versions.valid_to is null or versions.valid_to > versions.valid_from)
inner join {{ touched_clusters if is_incremental() else ref('int_clusters_unpacked') }} as clusters
    on
        plugins.landing_id = clusters.landing_id
        and plugins.position = clusters.structure_position
        and plugins.cluster_position = clusters.cluster_position
        and clusters.is_identified
