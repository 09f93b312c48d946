-- The contract's rules (seed filter_rules) on the latest structure; a decision taken elsewhere overrides them.
-- A rule names a release and at most one of a build id and a set of packages (sorted, joined by a space).
with rules as (
    select
        rules.release,
        nullif(rules.build_id, '') as build_id,
        nullif(rules.packages, '') as packages,
        rules.from_date
    from {{ ref('filter_rules') }} as rules
),

structures as (
    select
        versions.installation_key,
        versions.release,
        versions.build_id,
        versions.has_packages,
        (
            select string_agg(packages.name, ' ' order by packages.name)
            from jsonb_array_elements_text(versions.fuel_packages) as packages (name)
        ) as packages
    from {{ ref('int_structures_versioned') }} as versions
    where versions.is_current
),

matched as (
    select
        structures.installation_key,
        structures.has_packages,
        structures.build_id is not null as has_build_id,
        exists(select 1 from rules) as has_rules,
        exists(
            select 1 from rules
            where rules.release = structures.release
        ) as is_known_release,
        exists(
            select 1 from rules
            where rules.release = structures.release and (rules.build_id is not null or rules.packages is not null)
        ) as is_ruled_release,
        exists(
            select 1 from rules
            where
                rules.release = structures.release
                and rules.build_id = structures.build_id
                and coalesce(rules.from_date <= {{ as_of() }}, true)
        ) as is_allowed_build,
        exists(
            select 1 from rules
            where
                rules.release = structures.release
                and rules.packages = structures.packages
                and coalesce(rules.from_date <= {{ as_of() }}, true)
        ) as are_allowed_packages
    from structures
),

ruled as (
    select
        matched.installation_key,
        case
            when not matched.has_rules then 'no_rules'
            when not matched.is_known_release then 'unknown_release'
            when not matched.is_ruled_release then 'unruled_release'
            when matched.has_build_id and not matched.is_allowed_build then 'build_not_released'
            when matched.has_packages and not matched.are_allowed_packages then 'packages_not_released'
            else 'released'
        end as reason
    from matched
)

select
    contacted.installation_key,
    -- Three values: null is an imported installation that nobody had decided about.
    case
        when decisions.installation_key is not null then decisions.is_filtered
        when ruled.installation_key is null then false
        else ruled.reason in ('unknown_release', 'build_not_released', 'packages_not_released')
    end as is_filtered,
    case
        when decisions.installation_key is not null then 'decided: ' || decisions.source
        else coalesce(ruled.reason, 'no_structure')
    end as filter_reason
from {{ ref('int_installations_contacted') }} as contacted
left join {{ ref('stg_raw__installation_decisions') }} as decisions
    on contacted.installation_key = decisions.installation_key
left join ruled on contacted.installation_key = ruled.installation_key
