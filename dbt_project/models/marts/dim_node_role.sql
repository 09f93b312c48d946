select
    keys.role_key,
    named.role,
    named.role in (
        'controller', 'compute', 'cinder', 'ceph-osd', 'mongo', 'base-os', 'ironic', 'compute-vmware',
        'cinder-vmware', 'cinder-block-device', 'virt', 'zabbix'
    ) as is_core
from ({{ skip_scan(ref('bridge_node_role'), 'role_key') }}) as keys
cross join lateral (
    select bridges.role
    from {{ ref('bridge_node_role') }} as bridges
    where bridges.role_key = keys.role_key
    order by bridges.role_key
    limit 1
) as named
