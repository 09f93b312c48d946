select
    1 as summary_id,
    (select count(*) from {{ ref('fct_workload_record') }}) as oswl_stats_total,
    count(*) filter (where installations.has_structure) as installation_structures_total,
    count(*) filter (where installations.has_structure and installations.is_filtered)
        as installation_structures_filtered,
    count(*) filter (where installations.has_structure and not installations.is_filtered)
        as installation_structures_not_filtered,
    (select count(*) from {{ ref('fct_action') }}) as action_logs_total
from {{ ref('dim_installation') }} as installations
