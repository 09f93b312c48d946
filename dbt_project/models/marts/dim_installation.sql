with versioned as (
    select
        versions.installation_key,
        count(*) as versions_count
    from {{ ref('int_structures_versioned') }} as versions
    group by versions.installation_key
)

select
    contacted.installation_key,
    contacted.first_contact_day,
    contacted.last_contact_day,
    contacted.first_contact_at,
    contacted.tier,
    coalesce(structures.release, '') as release,
    structures.openstack_version,
    structures.build_id,
    structures.clusters_num,
    structures.allocated_nodes_num,
    structures.unallocated_nodes_num,
    structures.is_contact_provided,
    -- The original's dates: first heard from, and last reported (its structure may not have changed since).
    {{ utc('contacted.first_contact_at') }} as created_at,
    -- The first cycle takes minutes: a structure within them is its creation.
    case
        when
            versioned.versions_count > 1
            or contacted.last_contact_day > contacted.first_contact_day
            or structures.valid_from > contacted.first_contact_at + interval '10 minutes'
            then {{ utc('greatest(structures.valid_from, contacted.last_contact_at)') }}
    end as modified_at,
    {{ utc('structures.valid_from') }} as structure_changed_at,
    coalesce(versioned.versions_count, 0) as versions_count,
    structures.installation_key is not null as has_structure,
    -- Nobody decided about it (an import): reports leave it out, as the original's did.
    coalesce(filtered.is_filtered, true) as is_filtered,
    filtered.is_filtered is null as is_undecided,
    filtered.filter_reason
from {{ ref('int_installations_contacted') }} as contacted
inner join {{ ref('int_installations_filtered') }} as filtered
    on contacted.installation_key = filtered.installation_key
left join {{ ref('int_structures_versioned') }} as structures
    on contacted.installation_key = structures.installation_key and structures.is_current
left join versioned on contacted.installation_key = versioned.installation_key
