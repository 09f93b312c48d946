{{ config(materialized='view') }}

-- An action happened when it ended; one without an end (a request cut off) when it started.
select
    actions.*,
    {{ clamp('coalesce(actions.ended_at, actions.started_at)', utc('actions.received_at')) }} as event_at,
    {{ clamp('coalesce(actions.ended_at, actions.started_at)', utc('actions.received_at')) }}::date as event_day,
    {{ clamp_source('coalesce(actions.ended_at, actions.started_at)', utc('actions.received_at')) }} as day_source
from {{ ref('stg_raw__action_logs') }} as actions
