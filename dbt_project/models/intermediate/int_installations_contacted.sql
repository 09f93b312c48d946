-- Contact days are receive days. An installation without a contact row (a restore that lost them) is known by
-- what it sent.
with known as (
    {%- for relation in ['contact', 'installation_structure', 'action_logs', 'oswl_stats'] %}
    select found.installation_key from ({{ distinct_installations(source('raw', relation)) }}) as found
    {% if not loop.last %}union{% endif %}
    {%- endfor %}
)

select
    known.installation_key,
    coalesce(first_contact.contact_day, {{ utc('first_landing.received_at') }}::date) as first_contact_day,
    coalesce(last_contact.contact_day, {{ utc('last_landing.received_at') }}::date) as last_contact_day,
    coalesce(first_contact.first_at, first_landing.received_at) as first_contact_at,
    coalesce(last_contact.first_at, last_landing.received_at) as last_contact_at,
    coalesce(last_contact.tier, last_landing.tier, 0)::smallint as tier
from known
left join lateral (
    select
        contacts.contact_day,
        contacts.first_at
    from {{ ref('stg_raw__contacts') }} as contacts
    where contacts.installation_key = known.installation_key
    order by contacts.contact_day
    limit 1
) as first_contact on true
left join lateral (
    select
        contacts.contact_day,
        contacts.first_at,
        contacts.tier
    from {{ ref('stg_raw__contacts') }} as contacts
    where contacts.installation_key = known.installation_key
    order by contacts.contact_day desc
    limit 1
) as last_contact on true
{%- for side, direction in [('first_landing', 'asc'), ('last_landing', 'desc')] %}
left join lateral ( -- noqa: ST05
    select
        landed.received_at,
        landed.tier
    from (
        {%- for relation in ['installation_structure', 'action_logs', 'oswl_stats'] %}
        (
            select
                rows_of.received_at,
                rows_of.tier
            from {{ source('raw', relation) }} as rows_of
            where
                first_contact.contact_day is null
                and rows_of.installation_key = known.installation_key
                and rows_of.load_id in {{ pinned_loads() }}
            order by rows_of.received_at {{ direction }}
            limit 1
        )
        {% if not loop.last %}union all{% endif %}
        {%- endfor %}
    ) as landed
    order by landed.received_at {{ direction }}
    limit 1
) as {{ side }} on true
{%- endfor %}
