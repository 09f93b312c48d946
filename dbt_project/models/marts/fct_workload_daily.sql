{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='workload_from_day',
    replaced_on='stats_on_date',
    indexes=[{'columns': ['installation_key', 'stats_on_date']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_spans = touched_rows(
    ref('fct_workload_span'), 'workload_from_day',
    '(scanned.next_day > touched.workload_from_day or scanned.next_day is null)'
) %}

-- Each record is repeated until a newer one or the installation's last contact.
with days as (
    select
        spans.*,
        series.day::date as stats_on_date,
        spans.is_repeated or series.day::date > spans.record_day as is_carried
    from {{ touched_spans if is_incremental() else ref('fct_workload_span') }} as spans
    inner join {{ ref('int_installations_contacted') }} as contacted
        on spans.installation_key = contacted.installation_key
    cross join lateral generate_series(
        {% if is_incremental() %}greatest(spans.record_day, spans.workload_from_day){% else %}spans.record_day{% endif %}::timestamp,
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
    days.current_count,
    case when days.is_carried then 0 else days.added_count end as added_count,
    case when days.is_carried then 0 else days.modified_count end as modified_count,
    case when days.is_carried then 0 else days.removed_count end as removed_count
from days
