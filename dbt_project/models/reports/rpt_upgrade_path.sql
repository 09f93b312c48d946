with versions as (
    select
        history.installation_key,
        history.release as to_release,
        lag(history.release) over by_installation as from_release,
        history.valid_from,
        first_value(history.valid_from) over by_installation as first_from
    from {{ ref('dim_installation_history') }} as history
    inner join {{ ref('dim_installation') }} as installations
        on history.installation_key = installations.installation_key
    where not installations.is_filtered
    window by_installation as (partition by history.installation_key order by history.valid_from)
),

changes as (
    select
        versions.*,
        versions.valid_from - coalesce(
            lag(versions.valid_from) over (partition by versions.installation_key order by versions.valid_from),
            versions.first_from
        ) as stayed
    from versions
    where versions.from_release <> versions.to_release
)

select
    changes.from_release,
    changes.to_release,
    count(*) as upgrades,
    count(distinct changes.installation_key) as installations,
    (percentile_cont(0.5) within group (order by extract(epoch from changes.stayed) / 86400.0))::numeric(10, 2)
        as median_days_before
from changes
group by changes.from_release, changes.to_release
