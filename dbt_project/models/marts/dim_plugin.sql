select
    keys.plugin_key,
    named.plugin_name,
    named.plugin_version,
    named.package_version
from ({{ skip_scan(ref('bridge_cluster_plugin'), 'plugin_key') }}) as keys
cross join lateral (
    select
        bridges.plugin_name,
        bridges.plugin_version,
        bridges.package_version
    from {{ ref('bridge_cluster_plugin') }} as bridges
    where bridges.plugin_key = keys.plugin_key
    order by bridges.plugin_key
    limit 1
) as named
