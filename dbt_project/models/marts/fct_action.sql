{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='action_from_day',
    replaced_on='event_day',
    indexes=[
        {'columns': ['installation_key', 'event_day']},
        {'columns': ['action_key', 'installation_key']},
        {'columns': ['cluster_key']},
        {'columns': ['received_at']}
    ]
) }}
{# By received_at the integrity report counts, each time for a few days only. #}

-- depends_on: {{ ref('int_installations_touched') }}

with candidates as (
    select
        actions.*,
        -- The first one received wins, as at the collector; a copy that a restore brought again loses.
        row_number() over (
            partition by actions.installation_key, actions.external_id
            order by actions.received_at, actions.landing_id, actions.position
        ) as attempt_number
    {%- if is_incremental() %}
    -- An event counts at most an hour after it was received: older rows cannot be of these days.
    from {{ touched_rows(
        ref('int_actions_dated'), 'action_from_day', "scanned.received_at >= " ~ latest_receipt('action_from_day')
    ) }} as actions
    where
        actions.external_id is not null
        and actions.event_day >= actions.action_from_day
        -- Looked up one by one: joined, the planner reads the whole fact.
        and coalesce(
            (
                select kept.event_day
                from {{ this }} as kept
                where kept.installation_key = actions.installation_key and kept.external_id = actions.external_id
            ), 'infinity'
        ) >= actions.action_from_day
    {%- else %}
    from {{ ref('int_actions_dated') }} as actions
    where actions.external_id is not null
    {%- endif %}
)

select
    candidates.installation_key,
    candidates.external_id,
    candidates.landing_id,
    candidates.position,
    candidates.received_at,
    candidates.tier,
    {{ surrogate_key(['candidates.action_group', 'candidates.action_name', 'candidates.action_type']) }} as action_key,
    candidates.action_group,
    candidates.action_name,
    candidates.action_type,
    candidates.cluster_id,
    case
        when candidates.cluster_id is not null
            then {{ surrogate_key(['candidates.installation_key', 'candidates.cluster_id']) }}
    end as cluster_key,
    candidates.started_at,
    candidates.ended_at,
    candidates.event_day,
    candidates.day_source,
    -- Only an end after its start, within a year, is a duration.
    case
        when
            candidates.ended_at >= candidates.started_at
            and candidates.ended_at < candidates.started_at + interval '1 year'
            then extract(epoch from candidates.ended_at - candidates.started_at)::numeric(14, 6)
    end as duration_seconds,
    candidates.ended_with_status,
    candidates.http_method,
    candidates.http_status,
    -- A task fails by its own word, a request by its answer. Unknown outcomes are null.
    case
        when candidates.action_type = 'nailgun_task' then candidates.ended_with_status <> 'ready'
        else candidates.http_status >= 400
    end as is_failed,
    candidates.parent_task_id,
    candidates.nodes_count,
    candidates.task_uuid
from candidates
where candidates.attempt_number = 1
