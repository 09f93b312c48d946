{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_from',
    indexes=[{'columns': ['installation_key', 'valid_from']}, {'columns': ['role_key']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_nodes = touched_rows(
    ref('fct_node'), 'structure_from', 'scanned.valid_from >= touched.structure_from'
) %}

select distinct
    nodes.node_key,
    {{ surrogate_key(["roles.item #>> '{}'"]) }} as role_key,
    roles.item #>> '{}' as role,
    nodes.installation_key,
    nodes.valid_from,
    nodes.is_current
from {{ touched_nodes if is_incremental() else ref('fct_node') }} as nodes
cross join lateral jsonb_array_elements(nodes.roles) as roles (item)
where jsonb_typeof(roles.item) = 'string'
