{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='workload_from_day',
    replaced_on='record_day',
    indexes=[
        {'columns': ['installation_key', 'record_day']},
        {'columns': ['cluster_key']},
        {'columns': ['received_at']}
    ]
) }}
{# By received_at the integrity report counts, each time for a few days only. #}

-- depends_on: {{ ref('int_installations_touched') }}

with candidates as (
    select
        workloads.*,
        -- The newest by the node's own count wins: an older one that arrives late does not replace it.
        row_number() over (
            partition by workloads.installation_key, workloads.external_id, workloads.resource_type
            order by
                workloads.created_date desc nulls last,
                workloads.updated_time desc nulls last,
                workloads.received_at desc,
                workloads.landing_id desc,
                workloads.position desc
        ) as staleness
    {%- if is_incremental() %}
    from {{ touched_rows(
        ref('int_workloads_dated'), 'workload_from_day', "scanned.received_at >= " ~ latest_receipt('workload_from_day')
    ) }} as workloads
    where
        workloads.external_id is not null
        and workloads.resource_type is not null
        and workloads.record_day >= workloads.workload_from_day
        and coalesce(
            (
                select kept.record_day
                from {{ this }} as kept
                where
                    kept.installation_key = workloads.installation_key
                    and kept.external_id = workloads.external_id
                    and kept.resource_type = workloads.resource_type
            ), 'infinity'
        ) >= workloads.workload_from_day
    {%- else %}
    from {{ ref('int_workloads_dated') }} as workloads
    where workloads.external_id is not null and workloads.resource_type is not null
    {%- endif %}
)

select
    candidates.installation_key,
    candidates.external_id,
    candidates.resource_type,
    candidates.landing_id,
    candidates.position,
    candidates.received_at,
    candidates.tier,
    candidates.cluster_id,
    case
        when candidates.cluster_id is not null
            then {{ surrogate_key(['candidates.installation_key', 'candidates.cluster_id']) }}
    end as cluster_key,
    candidates.created_date,
    candidates.updated_time,
    candidates.record_day,
    candidates.day_source,
    candidates.resource_checksum,
    -- Two records of the same digest say the same: the checksum alone covers only what is current.
    md5(coalesce(candidates.resource_checksum, '') || coalesce(candidates.resource_data::text, '')) as data_digest,
    coalesce({{ json_array_length('candidates.resource_data', 'current') }}, 0) as current_count,
    coalesce({{ json_array_length('candidates.resource_data', 'added') }}, 0) as added_count,
    coalesce({{ json_array_length('candidates.resource_data', 'modified') }}, 0) as modified_count,
    coalesce({{ json_array_length('candidates.resource_data', 'removed') }}, 0) as removed_count,
    candidates.resource_data,
    candidates.version_info
from candidates
where candidates.staleness = 1
