select
    versions.installation_key,
    row_number() over (order by installations.created_at, versions.installation_key) as structure_number,
    versions.release,
    case when not installations.is_undecided then installations.is_filtered end as is_filtered,
    installations.created_at,
    installations.modified_at,
    versions.clusters_num_text as clusters_num,
    versions.tier,
    structures.structure
from {{ ref('int_structures_versioned') }} as versions
inner join {{ ref('dim_installation') }} as installations
    on versions.installation_key = installations.installation_key
inner join {{ ref('stg_raw__installation_structures') }} as structures
    on versions.landing_id = structures.landing_id and versions.position = structures.position
where versions.is_current
