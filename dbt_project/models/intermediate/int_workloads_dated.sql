{{ config(materialized='view') }}

select
    workloads.*,
    {{ clamp('workloads.created_date::timestamp', utc('workloads.received_at')) }}::date as record_day,
    {{ clamp_source('workloads.created_date::timestamp', utc('workloads.received_at')) }} as day_source
from {{ ref('stg_raw__oswl_stats') }} as workloads
