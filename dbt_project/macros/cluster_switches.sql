{# The cluster attributes that are switches: storage backends first, then related projects, then networking. #}
{% macro cluster_switches() -%}
{{- return(storage_switches() + project_switches() + ['neutron_dvr', 'neutron_l3_ha', 'neutron_l2_pop', 'vcenter']) -}}
{%- endmacro %}

{% macro storage_switches() -%}
{{- return(['images_ceph', 'volumes_ceph', 'objects_ceph', 'ephemeral_ceph', 'volumes_lvm', 'images_vcenter', 'volumes_vmdk']) -}}
{%- endmacro %}

{% macro project_switches() -%}
{{- return(['sahara', 'murano', 'ceilometer', 'heat', 'ironic', 'mongo']) -}}
{%- endmacro %}
