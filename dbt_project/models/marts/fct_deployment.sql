-- A deployment attempt is a finished deploy task that no other task contains.
with attempts as (
    select
        actions.*,
        coalesce(actions.cluster_key, actions.installation_key) as series_key,
        coalesce(actions.ended_at, actions.started_at, {{ utc('actions.received_at') }}) as at
    from {{ ref('fct_action') }} as actions
    inner join {{ ref('dim_action') }} as kinds on actions.action_key = kinds.action_key
    where kinds.is_deployment and actions.parent_task_id is null
),

numbered as (
    select
        attempts.*,
        row_number() over by_series as attempt_number,
        count(*) filter (where not attempts.is_failed) over (
            by_series rows between unbounded preceding and 1 preceding
        ) as successes_before
    from attempts
    window by_series as (partition by attempts.series_key order by attempts.at, attempts.external_id)
)

select
    numbered.installation_key,
    numbered.external_id,
    numbered.cluster_key,
    numbered.cluster_id,
    numbered.event_day,
    numbered.started_at,
    numbered.ended_at,
    numbered.duration_seconds,
    numbered.ended_with_status,
    numbered.is_failed,
    numbered.attempt_number,
    -- Failed attempts since the last success: what this one, if it succeeds, took.
    count(*) filter (where numbered.is_failed) over (
        partition by numbered.series_key, numbered.successes_before
        order by numbered.at, numbered.external_id
        rows between unbounded preceding and 1 preceding
    ) as failures_before,
    coalesce(clusters.nodes_num, numbered.nodes_count) as nodes_num,
    {{ size_class('coalesce(clusters.nodes_num, numbered.nodes_count)') }} as size_class,
    installations.release
from numbered
inner join {{ ref('dim_installation') }} as installations
    on numbered.installation_key = installations.installation_key
left join {{ ref('dim_cluster') }} as clusters on numbered.cluster_key = clusters.cluster_key
