{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='snapshot_from_day',
    replaced_on='replaced.week_start + 6',
    indexes=[{'columns': ['installation_key', 'week_start']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

-- Weeks are ISO weeks of receive days.
select
    contacts.installation_key,
    date_trunc('week', contacts.contact_day)::date as week_start
from {{ ref('stg_raw__contacts') }} as contacts
{%- if is_incremental() %}
inner join {{ ref('int_installations_touched') }} as touched
on
    contacts.installation_key = touched.installation_key
    and contacts.contact_day >= date_trunc('week', touched.snapshot_from_day)
{%- endif %}
group by contacts.installation_key, date_trunc('week', contacts.contact_day)::date
