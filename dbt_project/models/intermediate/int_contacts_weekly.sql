{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='snapshot_from_day',
    replaced_on='week_start',
    lasts_days=6,
    indexes=[{'columns': ['installation_key', 'week_start']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_contacts = touched_rows(
    ref('stg_raw__contacts'), 'snapshot_from_day',
    "scanned.contact_day >= date_trunc('week', touched.snapshot_from_day::timestamp)::date"
) %}

-- Weeks are ISO weeks of receive days.
select
    contacts.installation_key,
    date_trunc('week', contacts.contact_day)::date as week_start
from {{ touched_contacts if is_incremental() else ref('stg_raw__contacts') }} as contacts
group by contacts.installation_key, date_trunc('week', contacts.contact_day)::date
