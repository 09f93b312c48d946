{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='structure_from',
    replaced_on='valid_from',
    indexes=[{'columns': ['installation_key', 'valid_from']}, {'columns': ['installation_key', 'valid_to_day']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

with landed as (
    select structures.*
    from {{ touched_structures() if is_incremental() else ref('stg_raw__installation_structures') }} as structures
)

select
    landed.installation_key,
    landed.landing_id,
    landed.position,
    landed.tier,
    landed.received_at as valid_from,
    lead(landed.received_at) over by_installation as valid_to,
    {{ utc('landed.received_at') }}::date as valid_from_day,
    ({{ utc('lead(landed.received_at) over by_installation') }})::date as valid_to_day,
    lead(landed.received_at) over by_installation is null as is_current,
    landed.release,
    landed.openstack_version,
    landed.build_id,
    landed.fuel_packages,
    landed.has_packages,
    landed.clusters_num_text,
    landed.clusters_num,
    landed.allocated_nodes_num,
    landed.unallocated_nodes_num,
    landed.is_contact_provided
from landed
window by_installation as (
    partition by landed.installation_key
    order by landed.received_at, landed.landing_id, landed.position
)
