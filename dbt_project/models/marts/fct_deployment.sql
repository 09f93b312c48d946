{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='deployment_from_day',
    replaced_on='event_day',
    indexes=[
        {'columns': ['installation_key', 'event_day']},
        {'columns': ['installation_key', 'received_day']},
        {'columns': ['series_key', 'event_day']}
    ]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_actions = touched_rows(
    ref('fct_action'), 'deployment_from_day', 'scanned.event_day >= touched.deployment_from_day'
) %}

-- A deployment attempt is a finished deploy task that no other task contains.
with attempts as (
    select
        actions.*,
        {{ utc('actions.received_at') }}::date as received_day,
        coalesce(actions.cluster_key, actions.installation_key) as series_key,
        coalesce(actions.ended_at, actions.started_at, {{ utc('actions.received_at') }}) as at
    from {{ touched_actions if is_incremental() else ref('fct_action') }} as actions
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
    window
        by_series as (
            partition by attempts.series_key order by attempts.event_day, attempts.at, attempts.external_id
        )
),

counted as (
    select
        numbered.*,
        -- Failed attempts since the last success: what this one, if it succeeds, took.
        count(*) filter (where numbered.is_failed) over (
            partition by numbered.series_key, numbered.successes_before
            order by numbered.event_day, numbered.at, numbered.external_id
            rows between unbounded preceding and 1 preceding
        ) as failures_before
    from numbered
)

select
    counted.installation_key,
    counted.external_id,
    counted.series_key,
    counted.cluster_key,
    counted.cluster_id,
    counted.event_day,
    counted.received_day,
    counted.started_at,
    counted.ended_at,
    counted.duration_seconds,
    counted.ended_with_status,
    counted.is_failed,
    {% if is_incremental() -%}
    counted.attempt_number + coalesce(kept.attempt_number, 0) as attempt_number,
    counted.failures_before + case when counted.successes_before = 0 then coalesce(kept.failures, 0) else 0 end
        as failures_before,
    {%- else -%}
    counted.attempt_number,
    counted.failures_before,
    {%- endif %}
    coalesce(snapshots.nodes_num, counted.nodes_count) as nodes_num,
    {{ size_class('coalesce(snapshots.nodes_num, counted.nodes_count)') }} as size_class,
    coalesce(
        (
            select versions.release
            from {{ ref('int_structures_versioned') }} as versions
            where
                versions.installation_key = counted.installation_key
                and versions.valid_from < (counted.received_day + 1)::timestamp at time zone 'UTC'
            order by versions.valid_from desc, versions.landing_id desc, versions.position desc
            limit 1
        ),
        -- Received before the first structure was: what that one says.
        (
            select versions.release
            from {{ ref('int_structures_versioned') }} as versions
            where versions.installation_key = counted.installation_key
            order by versions.valid_from, versions.landing_id, versions.position
            limit 1
        ), ''
    ) as release
from counted
left join {{ ref('fct_cluster_snapshot') }} as snapshots
    on counted.cluster_key = snapshots.cluster_key and counted.received_day = snapshots.snapshot_day
{%- if is_incremental() %}
-- The series goes on from the last attempt before what is replaced.
left join lateral (
    select
        before.attempt_number,
        case
            when before.is_failed then before.failures_before + 1
            when not before.is_failed then 0
            else before.failures_before
        end as failures
    from {{ this }} as before
    where before.series_key = counted.series_key and before.event_day < counted.deployment_from_day
    order by before.event_day desc, before.attempt_number desc
    limit 1
) as kept on true
{%- endif %}
