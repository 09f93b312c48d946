-- Versions that say the same of these attributes are one row.
with versions as (
    select
        versions.*,
        md5(row(
            versions.release, versions.build_id, versions.tier, versions.clusters_num,
            versions.allocated_nodes_num, versions.unallocated_nodes_num
        )::text) as said
    from {{ ref('int_structures_versioned') }} as versions
    where versions.valid_to is null or versions.valid_to > versions.valid_from
),

changed as (
    select
        versions.*,
        (
            versions.said is distinct from lag(versions.said) over (
                partition by versions.installation_key order by versions.valid_from
            )
        ) as is_change
    from versions
)

select
    {{ surrogate_key(['changed.installation_key', 'changed.valid_from']) }} as installation_version_key,
    changed.installation_key,
    changed.valid_from,
    lead(changed.valid_from) over by_installation as valid_to,
    lead(changed.valid_from) over by_installation is null as is_current,
    row_number() over by_installation as version_number,
    changed.release,
    changed.build_id,
    changed.tier,
    changed.clusters_num,
    changed.allocated_nodes_num,
    changed.unallocated_nodes_num
from changed
where changed.is_change
window by_installation as (partition by changed.installation_key order by changed.valid_from)
