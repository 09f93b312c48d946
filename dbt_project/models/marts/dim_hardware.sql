select
    keys.hardware_key,
    named.manufacturer,
    named.product,
    named.manufacturer || ' ' || named.product ~* (
        'virtualbox|innotek|vmware|qemu|kvm|bochs|xen|openstack|parallels|virtual machine|red hat|rhev|ovirt|domu'
        '|amazon ec2'
    ) as is_virtual
from ({{ skip_scan(ref('fct_node'), 'hardware_key') }}) as keys
cross join lateral (
    select
        nodes.manufacturer,
        nodes.product
    from {{ ref('fct_node') }} as nodes
    where nodes.hardware_key = keys.hardware_key
    order by nodes.hardware_key
    limit 1
) as named
