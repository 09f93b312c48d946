{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_to',
    open_ended=true,
    indexes=[{'columns': ['installation_key', 'valid_from']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_versions = touched_rows(
    ref('int_structures_versioned'), 'structure_from', 'scanned.valid_from >= touched.structure_from'
) %}
{%- set going_on = touched_rows(
    this, 'structure_from',
    'scanned.valid_from < touched.structure_from'
    ~ ' and (scanned.valid_to >= touched.structure_from or scanned.valid_to is null)'
) %}

-- Versions that say the same of these attributes are one row.
{%- set attributes = [
    'release', 'build_id', 'tier', 'clusters_num', 'allocated_nodes_num', 'unallocated_nodes_num'
] %}

with versions as (
    select
        structures.installation_key,
        structures.valid_from,
        {%- for attribute in attributes %}
        structures.{{ attribute }},
        {%- endfor %}
        1 as first_number
    from {{ touched_versions if is_incremental() else ref('int_structures_versioned') }} as structures
    where structures.valid_to is null or structures.valid_to > structures.valid_from
    {%- if is_incremental() %}
    -- The row that holds when the touched versions begin: it may go on in them.
    union all
    select
        kept.installation_key,
        kept.valid_from,
        {%- for attribute in attributes %}
        kept.{{ attribute }},
        {%- endfor %}
        kept.version_number
    from {{ going_on }} as kept
    {%- endif %}
),

marked as (
    select
        versions.*,
        md5(row(
            {%- for attribute in attributes %}
            versions.{{ attribute }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        )::text) as said,
        first_value(versions.first_number) over (
            partition by versions.installation_key order by versions.valid_from
        ) as numbered_from
    from versions
),

changed as (
    select
        marked.*,
        (
            marked.said is distinct from lag(marked.said) over (
                partition by marked.installation_key order by marked.valid_from
            )
        ) as is_change
    from marked
)

select
    {{ surrogate_key(['changed.installation_key', 'changed.valid_from']) }} as installation_version_key,
    changed.installation_key,
    changed.valid_from,
    lead(changed.valid_from) over by_installation as valid_to,
    lead(changed.valid_from) over by_installation is null as is_current,
    changed.numbered_from - 1 + row_number() over by_installation as version_number,
    {%- for attribute in attributes %}
    changed.{{ attribute }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from changed
where changed.is_change
window by_installation as (partition by changed.installation_key order by changed.valid_from)
