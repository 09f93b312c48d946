{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_from',
    indexes=[{'columns': ['installation_key', 'valid_from']}, {'columns': ['role_key']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

select distinct
    nodes.node_key,
    {{ surrogate_key(["roles.item #>> '{}'"]) }} as role_key,
    roles.item #>> '{}' as role,
    nodes.installation_key,
    nodes.valid_from,
    nodes.is_current
from {{ ref('fct_node') }} as nodes
{%- if is_incremental() %}
inner join {{ ref('int_installations_touched') }} as touched
on nodes.installation_key = touched.installation_key and nodes.valid_from >= touched.structure_from
{%- endif %}
cross join lateral jsonb_array_elements(nodes.roles) as roles (item)
where jsonb_typeof(roles.item) = 'string'
