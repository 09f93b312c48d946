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

select
    nodes.node_key,
    {{ surrogate_key(['roles.role']) }} as role_key,
    roles.role,
    nodes.installation_key,
    nodes.valid_from,
    nodes.is_current
from {{ touched_nodes if is_incremental() else ref('fct_node') }} as nodes
cross join lateral (
    -- Node by node, so that the rows stay in the order of the nodes: they are looked up together.
    select distinct elements.item #>> '{}' as role
    from jsonb_array_elements(nodes.roles) as elements (item)
    where jsonb_typeof(elements.item) = 'string'
) as roles
