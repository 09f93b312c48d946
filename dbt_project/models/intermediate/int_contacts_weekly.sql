-- Weeks are ISO weeks of receive days.
select
    contacts.installation_key,
    date_trunc('week', contacts.contact_day)::date as week_start
from {{ ref('stg_raw__contacts') }} as contacts
group by contacts.installation_key, date_trunc('week', contacts.contact_day)::date
