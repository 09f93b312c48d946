{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='received_at',
    indexes=[{'columns': ['installation_key', 'received_at']}, {'columns': ['landing_id']}, {'columns': ['cluster_key', 'received_at']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

with unpacked as (
    select
        structures.installation_key,
        structures.landing_id,
        structures.position as structure_position,
        structures.received_at,
        (elements.ordinality - 1)::integer as cluster_position,
        elements.cluster,
        {{ json_bigint('elements.cluster', 'id') }} as cluster_id
    from {{ touched_structures() if is_incremental() else ref('stg_raw__installation_structures') }} as structures
    cross join lateral jsonb_array_elements(structures.clusters) with ordinality as elements (cluster, ordinality)
),

-- An id that a deformed structure repeats belongs to its first element.
ranked as (
    select
        unpacked.*,
        unpacked.cluster_id is not null and row_number() over (
            partition by unpacked.landing_id, unpacked.structure_position, unpacked.cluster_id
            order by unpacked.cluster_position
        ) = 1 as is_identified
    from unpacked
)

select
    ranked.installation_key,
    ranked.landing_id,
    ranked.structure_position,
    ranked.received_at,
    ranked.cluster_position,
    ranked.cluster_id,
    ranked.is_identified,
    case
        when ranked.is_identified then {{ surrogate_key(['ranked.installation_key', 'ranked.cluster_id']) }}
    end as cluster_key,
    {{ json_text('ranked.cluster', 'status') }} as status,
    {{ json_text('ranked.cluster', 'mode') }} as mode,
    {{ json_text('ranked.cluster', 'nodes_num') }} as nodes_num_text,
    {{ json_bigint('ranked.cluster', 'nodes_num') }} as nodes_num,
    {{ json_text('ranked.cluster', 'release,name') }} as release_name,
    {{ json_text('ranked.cluster', 'release,version') }} as release_version,
    {{ json_text('ranked.cluster', 'release,os') }} as release_os,
    {{ json_text('ranked.cluster', 'fuel_version') }} as fuel_version,
    {{ json_boolean('ranked.cluster', 'is_customized') }} as is_customized,
    lower({{ json_text('ranked.cluster', 'attributes,libvirt_type') }}) as hypervisor,
    {{ json_text('ranked.cluster', 'net_provider') }} as net_provider,
    {{ json_text('ranked.cluster', 'network_configuration,segmentation_type') }} as segmentation_type,
    {{ json_text('ranked.cluster', 'network_configuration,net_l23_provider') }} as net_l23_provider,
    {{ json_text('ranked.cluster', 'network_configuration,net_manager') }} as net_manager,
    {%- for attribute in cluster_switches() %}
    coalesce({{ json_boolean('ranked.cluster', 'attributes,' ~ attribute) }}, false) as {{ attribute }},
    {%- endfor %}
    {{ json_array_length('ranked.cluster', 'installed_plugins') }} as plugins_count
from ranked
