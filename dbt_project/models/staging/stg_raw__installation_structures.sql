select
    structures.landing_id,
    structures.position,
    structures.load_id,
    structures.installation_key,
    structures.received_at,
    structures.tier,
    structures.record as structure,
    coalesce({{ json_text('structures.record', 'fuel_release,release') }}, '') as release,
    {{ json_text('structures.record', 'fuel_release,openstack_version') }} as openstack_version,
    {{ json_text('structures.record', 'fuel_release,build_id') }} as build_id,
    {{ json_array('structures.record', 'fuel_packages') }} as fuel_packages,
    coalesce(jsonb_typeof(structures.record -> 'fuel_packages') = 'array', false) as has_packages,
    {{ json_text('structures.record', 'clusters_num') }} as clusters_num_text,
    {{ json_bigint('structures.record', 'clusters_num') }} as clusters_num,
    {{ json_bigint('structures.record', 'allocated_nodes_num') }} as allocated_nodes_num,
    {{ json_bigint('structures.record', 'unallocated_nodes_num') }} as unallocated_nodes_num,
    {{ json_boolean('structures.record', 'user_information,contact_info_provided') }} as is_contact_provided,
    {{ json_array('structures.record', 'clusters') }} as clusters
from {{ source('raw', 'installation_structure') }} as structures
where
    structures.load_id in {{ pinned_loads() }}
    -- What extraction could not read stands in raw under this key, so that counts stay right.
    and not structures.record ? '_unreadable'
