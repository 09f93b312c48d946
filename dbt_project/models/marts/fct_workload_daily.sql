{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='workload_from_day',
    replaced_on='stats_on_date',
    indexes=[{'columns': ['installation_key', 'stats_on_date']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

-- Two records of one cluster, type and day: the one updated last speaks for the day.
with ranked as (
    select
        records.installation_key,
        records.cluster_id,
        records.cluster_key,
        records.resource_type,
        records.external_id,
        records.record_day,
        records.data_digest,
        row_number() over (
            partition by records.cluster_key, records.resource_type, records.record_day
            order by records.updated_time desc nulls last, records.external_id desc
        ) as staleness
    from {{ ref('fct_workload_record') }} as records
    {%- if is_incremental() %}
inner join {{ ref('int_installations_touched') }} as touched
    on records.installation_key = touched.installation_key and touched.workload_from_day is not null
    {%- endif %}
    where records.cluster_key is not null
),

compared as (
    select
        ranked.*,
        coalesce(ranked.data_digest = lag(ranked.data_digest) over by_series, false) as is_repeated,
        lead(ranked.record_day) over by_series as next_day
    from ranked
    where ranked.staleness = 1
    window by_series as (partition by ranked.cluster_key, ranked.resource_type order by ranked.record_day)
),

numbered as (
    select
        compared.*,
        count(*) filter (where not compared.is_repeated) over (
            partition by compared.cluster_key, compared.resource_type order by compared.record_day
        ) as run_number
    from compared
),

-- Of records that follow one another and say the same, the first one speaks.
spans as (
    select
        numbered.installation_key,
        numbered.cluster_id,
        numbered.cluster_key,
        numbered.resource_type,
        numbered.record_day,
        numbered.is_repeated,
        numbered.next_day,
        first_value(numbered.external_id) over (
            partition by numbered.cluster_key, numbered.resource_type, numbered.run_number
            order by numbered.record_day
        ) as external_id
    from numbered
),

-- Each record is repeated until a newer one or the installation's last contact.
days as (
    select
        spans.*,
        series.day::date as stats_on_date,
        spans.is_repeated or series.day::date > spans.record_day as is_carried
    from spans
    inner join {{ ref('int_installations_contacted') }} as contacted
        on spans.installation_key = contacted.installation_key
    {%- if is_incremental() %}
    inner join {{ ref('int_installations_touched') }} as touched
        on spans.installation_key = touched.installation_key
    {%- endif %}
    cross join lateral generate_series(
        {% if is_incremental() %}greatest(spans.record_day, touched.workload_from_day){% else %}spans.record_day{% endif %}::timestamp,
        least(spans.next_day - 1, contacted.last_contact_day)::timestamp,
        interval '1 day'
    ) as series (day)
)

select
    days.installation_key,
    days.cluster_key,
    days.cluster_id,
    days.resource_type,
    days.stats_on_date,
    days.record_day as reported_on,
    days.external_id,
    days.is_carried,
    counted.current_count,
    case when days.is_carried then 0 else counted.added_count end as added_count,
    case when days.is_carried then 0 else counted.modified_count end as modified_count,
    case when days.is_carried then 0 else counted.removed_count end as removed_count
from days
inner join {{ ref('fct_workload_record') }} as counted
    on
        days.installation_key = counted.installation_key
        and days.external_id = counted.external_id
        and days.resource_type = counted.resource_type
