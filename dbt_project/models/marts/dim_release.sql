select
    versions.release,
    case
        when versions.release ~ '^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$'
            then array_to_string(
                    array(
                        select lpad(parts.part, 4, '0')
                        from unnest(string_to_array(versions.release, '.')) with ordinality as parts (part, place)
                        order by parts.place
                    ), '.'
                )
    end as release_order,
    min(versions.valid_from_day) as first_seen_day,
    max(versions.valid_from_day) as last_reported_day,
    count(distinct versions.installation_key) filter (where versions.is_current) as current_installations
from {{ ref('int_structures_versioned') }} as versions
group by versions.release
