-- The kinds of action that occurred, and what each is about.
select
    keys.action_key,
    named.action_group,
    named.action_name,
    named.action_type,
    coalesce(named.action_type = 'nailgun_task', false) as is_task,
    coalesce(named.action_type = 'nailgun_task' and named.action_name in ('deploy', 'deployment'), false)
        as is_deployment,
    coalesce(named.action_type = 'nailgun_task' and named.action_name = 'verify_networks', false)
        as is_network_verification
from ({{ skip_scan(ref('fct_action'), 'action_key') }}) as keys
cross join lateral (
    select
        facts.action_group,
        facts.action_name,
        facts.action_type
    from {{ ref('fct_action') }} as facts
    where facts.action_key = keys.action_key
    order by facts.action_key
    limit 1
) as named
