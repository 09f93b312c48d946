{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='workload_from_day',
    replaced_on='stats_on_date',
    indexes=[{'columns': ['installation_key', 'stats_on_date']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_days = touched_rows(
    ref('fct_workload_daily'), 'workload_from_day', 'scanned.stats_on_date >= touched.workload_from_day'
) %}
{%- set told = looked_up(
    ref('fct_workload_record'),
    'found.installation_key = spoken.installation_key and found.external_id = spoken.external_id'
    ~ ' and found.resource_type = spoken.resource_type'
) %}

with daily as (
    select days.*
    from {{ touched_days if is_incremental() else ref('fct_workload_daily') }} as days
),

spoken as (
    select distinct
        daily.installation_key,
        daily.external_id,
        daily.resource_type
    from daily
),

records as (
    select
        recorded.installation_key,
        recorded.external_id,
        recorded.resource_type,
        recorded.version_info,
        recorded.resource_data
    {%- if is_incremental() %}
    from spoken
    cross join lateral {{ told }} as recorded
    {%- else %}
    from {{ ref('fct_workload_record') }} as recorded
    inner join spoken
        on
            recorded.installation_key = spoken.installation_key
            and recorded.external_id = spoken.external_id
            and recorded.resource_type = spoken.resource_type
    {%- endif %}
),

-- Old nodes sent removals with only id and time: these say nothing of the resource and are left out. One removed
-- twice counts once, one present again is current.
removals as (
    select distinct on (
        records.installation_key, records.external_id, records.resource_type, elements.resource ->> 'id'
    )
        records.installation_key,
        records.external_id,
        records.resource_type,
        records.resource_data,
        records.version_info,
        elements.resource,
        elements.ordinality
    from records
    cross join
        lateral jsonb_array_elements({{ json_array('records.resource_data', 'removed') }})
        with ordinality as elements (resource, ordinality)
    where
        jsonb_typeof(elements.resource) = 'object'
        and (select count(*) from jsonb_object_keys({{ json_object('elements.resource') }})) > 2
        and not exists (
            select 1
            from jsonb_array_elements({{ json_array('records.resource_data', 'current') }}) as present (resource)
            where present.resource -> 'id' = elements.resource -> 'id'
        )
    order by
        records.installation_key asc,
        records.external_id asc,
        records.resource_type asc,
        elements.resource ->> 'id' asc,
        elements.ordinality desc
),

elements as (
    select
        records.installation_key,
        records.external_id,
        records.resource_type,
        records.resource_data,
        records.version_info,
        present.resource,
        present.ordinality,
        false as is_gone
    from records
    cross join
        lateral jsonb_array_elements({{ json_array('records.resource_data', 'current') }})
        with ordinality as present (resource, ordinality)
    where jsonb_typeof(present.resource) = 'object'
    union all
    select
        removals.installation_key,
        removals.external_id,
        removals.resource_type,
        removals.resource_data,
        removals.version_info,
        removals.resource,
        removals.ordinality,
        true as is_gone
    from removals
),

flagged as (
    select
        elements.*,
        row_number() over (
            partition by elements.installation_key, elements.external_id, elements.resource_type
            order by elements.is_gone, elements.ordinality
        ) as resource_number,
    {%- for list in ['added', 'modified', 'removed'] %}
    exists(
        select 1
        from jsonb_array_elements({{ json_array('elements.resource_data', list) }}) as listed (change)
        where listed.change -> 'id' = elements.resource -> 'id'
    ) as is_{{ list }} {%- if not loop.last %},{% endif %}
    {%- endfor %}
    from elements
)

select
    daily.installation_key,
    daily.cluster_key,
    daily.cluster_id,
    daily.resource_type,
    daily.stats_on_date,
    flagged.resource_number,
    daily.reported_on,
    daily.external_id,
    flagged.resource ->> 'id' as resource_id,
    flagged.resource,
    flagged.version_info,
    flagged.is_added and not daily.is_carried as is_added,
    flagged.is_modified and not daily.is_carried as is_modified,
    flagged.is_removed and not daily.is_carried as is_removed
from daily
inner join flagged
    on
        daily.installation_key = flagged.installation_key
        and daily.external_id = flagged.external_id
        and daily.resource_type = flagged.resource_type
        and (not flagged.is_gone or not daily.is_carried)
