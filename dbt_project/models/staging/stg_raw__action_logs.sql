-- jsonb_to_record reads a body once; a path expression for each column would read it a dozen times.
with pinned as (
    select
        action_logs.*,
        case jsonb_typeof(action_logs.record -> 'body') when 'object' then action_logs.record -> 'body' else '{}' end
            as body
    from {{ source('raw', 'action_logs') }} as action_logs
    where action_logs.load_id in {{ pinned_loads() }}
)

select
    pinned.landing_id,
    pinned.position,
    pinned.load_id,
    pinned.installation_key,
    pinned.received_at,
    pinned.tier,
    {{ json_bigint('pinned.record', 'external_id') }} as external_id,
    bodies.action_group,
    bodies.action_name,
    bodies.action_type,
    bodies.start_timestamp as started_text,
    bodies.end_timestamp as ended_text,
    {{ parse_timestamp('bodies.start_timestamp') }} as started_at,
    {{ parse_timestamp('bodies.end_timestamp') }} as ended_at,
    {{ json_bigint('bodies.cluster_id', '') }} as cluster_id,
    bodies.task_uuid,
    infos.operation,
    infos.ended_with_status,
    {{ json_bigint('infos.parent_task_id', '') }} as parent_task_id,
    {{ json_array_length('infos.nodes_from_resp', '') }} as nodes_count,
    {{ json_text('infos.request_data', 'http_method') }} as http_method,
    substring({{ json_text('infos.response_data', 'status') }} from '^([1-5][0-9]{2})( |$)')::integer as http_status
from pinned
cross join
    lateral jsonb_to_record(pinned.body)
        as bodies (
            action_group text,
            action_name text,
            action_type text,
            start_timestamp text,
            end_timestamp text,
            cluster_id jsonb,
            task_uuid text,
            additional_info jsonb
        )
cross join lateral jsonb_to_record(
    case jsonb_typeof(bodies.additional_info) when 'object' then bodies.additional_info else '{}' end
) as infos (
    operation text,
    ended_with_status text,
    parent_task_id jsonb,
    nodes_from_resp jsonb,
    request_data jsonb,
    response_data jsonb
)
