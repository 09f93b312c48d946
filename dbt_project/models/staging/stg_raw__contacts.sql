select
    contacts.installation_key,
    contacts.day as contact_day,
    contacts.tier,
    contacts.first_at,
    contacts.load_id
from {{ source('raw', 'contact') }} as contacts
where contacts.load_id in {{ pinned_loads() }}
