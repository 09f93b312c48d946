{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='workload_from_day',
    replaced_on='next_day',
    open_ended=true,
    indexes=[{'columns': ['installation_key', 'next_day']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_records = touched_rows(
    ref('fct_workload_record'), 'workload_from_day', 'scanned.record_day >= touched.workload_from_day'
) %}
{%- set going_on = touched_rows(
    this, 'workload_from_day',
    'scanned.record_day < touched.workload_from_day'
    ~ ' and (scanned.next_day >= touched.workload_from_day or scanned.next_day is null)'
) %}

-- Two records of one cluster, type and day: the one updated last speaks for the day.
with ranked as (
    select
        records.*,
        row_number() over (
            partition by records.cluster_key, records.resource_type, records.record_day
            order by records.updated_time desc nulls last, records.external_id desc
        ) as staleness
    from {{ touched_records if is_incremental() else ref('fct_workload_record') }} as records
    where records.cluster_key is not null
),

{%- set columns = [
    'installation_key', 'cluster_key', 'cluster_id', 'resource_type', 'record_day', 'external_id', 'data_digest',
    'current_count', 'added_count', 'modified_count', 'removed_count'
] %}

series as (
    select
        {%- for column in columns %}
        ranked.{{ column }},
        {%- endfor %}
        null::boolean as was_repeated
    from ranked
    where ranked.staleness = 1
    {%- if is_incremental() %}
    -- The last one before what is replaced: what follows says where it ends, and may repeat it.
    union all
    select
        {%- for column in columns %}
        kept.{{ column }},
        {%- endfor %}
        kept.is_repeated as was_repeated
    from {{ going_on }} as kept
    {%- endif %}
),

compared as (
    select
        series.*,
        coalesce(
            series.was_repeated, series.data_digest = lag(series.data_digest) over by_series, false
        ) as is_repeated,
        lead(series.record_day) over by_series as next_day
    from series
    window by_series as (partition by series.cluster_key, series.resource_type order by series.record_day)
),

numbered as (
    select
        compared.*,
        count(*) filter (where not compared.is_repeated) over (
            partition by compared.cluster_key, compared.resource_type order by compared.record_day
        ) as run_number
    from compared
)

select
    numbered.installation_key,
    numbered.cluster_key,
    numbered.cluster_id,
    numbered.resource_type,
    numbered.record_day,
    numbered.next_day,
    numbered.is_repeated,
    -- Of records that follow one another and say the same, the first one speaks.
    first_value(numbered.external_id) over (
        partition by numbered.cluster_key, numbered.resource_type, numbered.run_number
        order by numbered.record_day
    ) as external_id,
    numbered.data_digest,
    numbered.current_count,
    numbered.added_count,
    numbered.modified_count,
    numbered.removed_count
from numbered
