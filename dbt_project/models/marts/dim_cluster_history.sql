{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_to',
    open_ended=true,
    indexes=[{'columns': ['installation_key', 'valid_to']}, {'columns': ['cluster_key', 'valid_from']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

-- A row begins where a cluster appears or one of these attributes changes, and ends where the next one begins or
-- where a structure no longer names the cluster.
{%- set attributes = [
    'status', 'mode', 'nodes_num', 'release_name', 'release_version', 'release_os', 'fuel_version', 'is_customized',
    'hypervisor', 'net_provider', 'segmentation_type', 'net_l23_provider', 'net_manager', 'plugins_count'
] + cluster_switches() %}
{%- set touched_clusters = touched_rows(
    ref('int_clusters_unpacked'), 'structure_from', 'scanned.received_at >= touched.structure_from'
) %}
{%- set touched_versions = touched_rows(
    ref('int_structures_versioned'), 'structure_from', 'scanned.valid_from >= touched.structure_from'
) %}
{%- set going_on = touched_rows(
    this, 'structure_from',
    'scanned.valid_from < touched.structure_from'
    ~ ' and (scanned.valid_to >= touched.structure_from or scanned.valid_to is null)'
) %}

with versions as (
    select
        clusters.installation_key,
        clusters.cluster_key,
        clusters.cluster_id,
        structures.valid_from,
        structures.valid_to,
        {%- if is_incremental() %}
        clusters.structure_from,
        {%- endif %}
        {%- for attribute in attributes %}
        clusters.{{ attribute }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ touched_clusters if is_incremental() else ref('int_clusters_unpacked') }} as clusters
    inner join {{ touched_versions if is_incremental() else ref('int_structures_versioned') }} as structures
        on
            clusters.installation_key = structures.installation_key
            and clusters.received_at = structures.valid_from
            and clusters.landing_id = structures.landing_id
            and clusters.structure_position = structures.position
    where
        clusters.is_identified
        and (structures.valid_to is null or structures.valid_to > structures.valid_from)
    {%- if is_incremental() %}
    -- The row that holds until the touched versions begin: it may go on in them.
    union all
    select
        kept.installation_key,
        kept.cluster_key,
        kept.cluster_id,
        kept.valid_from,
        kept.structure_from as valid_to,
        kept.structure_from,
        {%- for attribute in attributes %}
        kept.{{ attribute }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ going_on }} as kept
    {%- endif %}
),

compared as (
    select
        versions.*,
        md5(row(
            {%- for attribute in attributes %}
            versions.{{ attribute }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        )::text) as said
    from versions
),

marked as (
    select
        compared.*,
        (
            compared.said is distinct from lag(compared.said) over by_cluster
            or compared.valid_from is distinct from lag(compared.valid_to) over by_cluster
        ) as is_change
    from compared
    window by_cluster as (partition by compared.cluster_key order by compared.valid_from)
),

numbered as (
    select
        marked.*,
        count(*) filter (where marked.is_change) over (
            partition by marked.cluster_key order by marked.valid_from
        ) as version_number
    from marked
),

ended as (
    select
        numbered.*,
        nullif(
            max(coalesce(numbered.valid_to, 'infinity')) over (
                partition by numbered.cluster_key, numbered.version_number
            ), 'infinity'
        ) as ends_at
    from numbered
)

select
    {{ surrogate_key(['ended.cluster_key', 'ended.valid_from']) }} as cluster_version_key,
    ended.cluster_key,
    ended.installation_key,
    ended.cluster_id,
    ended.valid_from,
    ended.ends_at as valid_to,
    ended.ends_at is null as is_current,
    {% if is_incremental() -%}
    -- After the rows that stay as they are.
    ended.version_number + coalesce(
        (
            select kept.version_number
            from {{ this }} as kept
            where
                kept.cluster_key = ended.cluster_key
                and kept.valid_from < ended.structure_from
                and kept.valid_to < ended.structure_from
            order by kept.valid_from desc
            limit 1
        ), 0
    ) as version_number,
    {%- else -%}
    ended.version_number,
    {%- endif %}
    {%- for attribute in attributes %}
    ended.{{ attribute }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from ended
where ended.is_change
