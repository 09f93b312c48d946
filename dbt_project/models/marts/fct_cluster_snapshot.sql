{{ config(
    materialized='incremental',
    incremental_strategy='replace_touched',
    touched_from='snapshot_from_day',
    replaced_on='snapshot_day',
    indexes=[{'columns': ['installation_key', 'snapshot_day']}]
) }}

-- depends_on: {{ ref('int_installations_touched') }}

{%- set touched_versions = touched_rows(
    ref('int_structures_versioned'), 'snapshot_from_day',
    '(scanned.valid_to_day > touched.snapshot_from_day or scanned.valid_to_day is null)'
) %}
{%- set unpacked = looked_up(
    ref('int_clusters_unpacked'),
    'found.landing_id = spans.landing_id and found.structure_position = spans.position'
) %}

-- The last structure received on a day speaks for that day, and for the following ones until the next structure
-- or the last contact.
with last_of_day as (
    select
        versions.installation_key,
        versions.landing_id,
        versions.position,
        {%- if is_incremental() %}
        versions.snapshot_from_day,
        {%- endif %}
        versions.valid_from_day as from_day,
        least(contacted.last_contact_day, coalesce(versions.valid_to_day - 1, 'infinity'::date)) as to_day
    from {{ touched_versions if is_incremental() else ref('int_structures_versioned') }} as versions
    inner join {{ ref('int_installations_contacted') }} as contacted
        on versions.installation_key = contacted.installation_key
    where versions.valid_to_day is null or versions.valid_to_day > versions.valid_from_day
),

spans as (
    select
        last_of_day.installation_key,
        last_of_day.landing_id,
        last_of_day.position,
        last_of_day.from_day as valid_from_day,
        {% if is_incremental() -%}
        greatest(last_of_day.from_day, last_of_day.snapshot_from_day) as from_day,
        {%- else -%}
        last_of_day.from_day,
        {%- endif %}
        -- The day it was received always counts, whatever the contacts say.
        greatest(last_of_day.to_day, last_of_day.from_day) as to_day
    from last_of_day
    {%- if is_incremental() %}
    where greatest(last_of_day.to_day, last_of_day.from_day) >= last_of_day.snapshot_from_day
    {%- endif %}
)

select
    clusters.cluster_key,
    days.day::date as snapshot_day,
    spans.installation_key,
    clusters.cluster_id,
    clusters.status,
    coalesce(clusters.status in ('operational', 'error'), false) as is_operable,
    clusters.mode,
    clusters.nodes_num,
    clusters.hypervisor,
    lower(clusters.release_os) as release_os,
    clusters.release_version,
    clusters.fuel_version,
    days.day::date > spans.valid_from_day as is_carried
from spans
{% if is_incremental() -%}
cross join lateral {{ unpacked }} as clusters
{%- else -%}
inner join {{ ref('int_clusters_unpacked') }} as clusters
    on spans.landing_id = clusters.landing_id and spans.position = clusters.structure_position
{%- endif %}
cross join
    lateral generate_series(
        spans.from_day::timestamp, spans.to_day::timestamp, interval '1 day'
    ) as days (day)
where clusters.is_identified
