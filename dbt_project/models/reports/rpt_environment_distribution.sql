-- Current environments of unfiltered installations, counted by one attribute at a time. Since 6.1 vCenter is a switch
-- beside the local hypervisor: an environment with both is neither the one nor the other, but "kvm + vcenter".
{%- set hypervisors -%}
nullif(concat_ws(
    ' + ', nullif(environments.hypervisor, 'vcenter'),
    case when environments.vcenter or environments.hypervisor = 'vcenter' then 'vcenter' end
), '')
{%- endset %}

with environments as (
    select
        clusters.*,
        installations.release
    from {{ ref('dim_cluster') }} as clusters
    inner join {{ ref('dim_installation') }} as installations
        on clusters.installation_key = installations.installation_key
    where clusters.is_current and not installations.is_filtered
),

options as (
    {%- for dimension, expression in [
        ('operating_system', 'lower(environments.release_os)'),
        ('openstack_release', 'environments.release_version'),
        ('hypervisor', hypervisors),
        ('size', 'environments.size_class'),
        ('status', 'environments.status'),
        ('mode', 'environments.mode'),
        ('net_provider', 'environments.net_provider'),
        ('segmentation_type', 'environments.segmentation_type'),
        ('net_l23_provider', 'environments.net_l23_provider')
    ] %}
    select
        environments.release,
        environments.cluster_key,
        environments.installation_key,
        '{{ dimension }}' as dimension,
        coalesce({{ expression }}, 'unknown') as item
    from environments
    union all
    {%- endfor %}
    {%- for dimension, switches in [
        ('storage', storage_switches()), ('project', project_switches()),
        ('network_option', ['neutron_dvr', 'neutron_l3_ha', 'neutron_l2_pop'])
    ] %}
    {%- for switch in switches %}
    select
        environments.release,
        environments.cluster_key,
        environments.installation_key,
        '{{ dimension }}',
        '{{ switch }}'
    from environments
    where environments.{{ switch }}
    union all
    {%- endfor %}
    {%- endfor %}
    select
        environments.release,
        environments.cluster_key,
        environments.installation_key,
        'plugin',
        coalesce(plugins.plugin_name, 'unknown')
    from environments
    inner join {{ ref('bridge_cluster_plugin') }} as plugins
        on environments.cluster_key = plugins.cluster_key and plugins.is_current
)

select
    options.release,
    options.dimension,
    options.item,
    count(distinct options.cluster_key) as environments,
    count(distinct options.installation_key) as installations
from options
group by options.release, options.dimension, options.item
