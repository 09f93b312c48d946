select
    workloads.landing_id,
    workloads.position,
    workloads.load_id,
    workloads.installation_key,
    workloads.received_at,
    workloads.tier,
    {{ json_bigint('workloads.record', 'id') }} as external_id,
    {{ json_bigint('workloads.record', 'cluster_id') }} as cluster_id,
    {{ json_text('workloads.record', 'resource_type') }} as resource_type,
    {{ json_text('workloads.record', 'created_date') }} as created_text,
    {{ parse_date("(workloads.record ->> 'created_date')") }} as created_date,
    {{ parse_time("(workloads.record ->> 'updated_time')") }} as updated_time,
    {{ json_text('workloads.record', 'resource_checksum') }} as resource_checksum,
    workloads.record -> 'resource_data' as resource_data,
    case
        when jsonb_typeof(workloads.record -> 'version_info') = 'object'
            then nullif(workloads.record -> 'version_info', '{}'::jsonb)
    end as version_info
from {{ source('raw', 'oswl_stats') }} as workloads
where workloads.load_id in {{ pinned_loads() }}
