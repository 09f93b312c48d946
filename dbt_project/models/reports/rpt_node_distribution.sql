-- Nodes of the current structures of unfiltered installations, counted by one attribute at a time.
with nodes as (
    select
        facts.*,
        hardware.is_virtual,
        installations.release
    from {{ ref('fct_node') }} as facts
    inner join {{ ref('dim_installation') }} as installations
        on facts.installation_key = installations.installation_key
    inner join {{ ref('dim_hardware') }} as hardware on facts.hardware_key = hardware.hardware_key
    where facts.is_current and not installations.is_filtered
),

options as (
    {%- for dimension, expression in [
        ('role_combination', "coalesce(nodes.role_combination, 'unallocated')"),
        ('manufacturer', 'nodes.manufacturer'),
        ('machine', "case when nodes.is_virtual then 'virtual' else 'bare metal' end"),
        ('operating_system', "coalesce(nodes.os, 'unknown')"),
        ('status', "coalesce(nodes.status, 'unknown')")
    ] %}
    select
        nodes.release,
        nodes.node_key,
        nodes.installation_key,
        '{{ dimension }}' as dimension,
        {{ expression }} as item
    from nodes
    union all
    {%- endfor %}
    select
        nodes.release,
        nodes.node_key,
        nodes.installation_key,
        'role',
        roles.role
    from nodes
    inner join {{ ref('bridge_node_role') }} as roles on nodes.node_key = roles.node_key
)

select
    options.release,
    options.dimension,
    options.item,
    count(*) as nodes,
    count(distinct options.installation_key) as installations
from options
group by options.release, options.dimension, options.item
