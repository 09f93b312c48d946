-- depends_on: {{ ref('int_actions_dated') }}
-- depends_on: {{ ref('int_workloads_dated') }}
-- depends_on: {{ ref('stg_raw__installation_structures') }}
-- depends_on: {{ ref('stg_raw__contacts') }}
-- Where a run must look: for each installation that the new loads touched, from which of its days on.
-- On a first build and on a full refresh nothing reads it: it is then empty.

{%- set past = has_past() %}
{%- set before = previous('int_installations_touched') if past else none %}
{%- set told = adapter.get_relation(database=target.database, schema='ops', identifier='touched_installation')
    if past and execute else none %}

with
{% if not past %}
touched as (
    select
        null::uuid as installation_key,
        null::date as action_from_day,
        null::date as workload_from_day,
        null::date as snapshot_from_day,
        null::timestamptz as structure_from
    where false
)
{% else %}
new_actions as (
    select
        actions.installation_key,
        min(least(actions.event_day, known.event_day)) as from_day -- noqa: RF01
    from {{ ref('int_actions_dated') }} as actions
    left join {{ previous('fct_action') }} as known
        on actions.installation_key = known.installation_key and actions.external_id = known.external_id
    where actions.load_id in {{ new_loads() }} and actions.external_id is not null
    group by actions.installation_key
),

new_workloads as (
    select
        workloads.installation_key,
        min(least(workloads.record_day, known.record_day)) as from_day -- noqa: RF01
    from {{ ref('int_workloads_dated') }} as workloads
    left join {{ previous('fct_workload_record') }} as known
        on
            workloads.installation_key = known.installation_key
            and workloads.external_id = known.external_id
            and workloads.resource_type = known.resource_type
    where workloads.load_id in {{ new_loads() }} and workloads.external_id is not null
    group by workloads.installation_key
),

first_new_structures as (
    select
        structures.installation_key,
        min(structures.received_at) as received_at
    from {{ ref('stg_raw__installation_structures') }} as structures
    where structures.load_id in {{ new_loads() }}
    group by structures.installation_key
),

-- The version before the new ones is rebuilt too: it ends where they begin.
new_structures as (
    select
        fresh.installation_key,
        coalesce(
            (
                select max(structures.received_at)
                from {{ ref('stg_raw__installation_structures') }} as structures
                where
                    structures.installation_key = fresh.installation_key
                    and structures.received_at < fresh.received_at
            ),
            fresh.received_at
        ) as structure_from,
        {{ utc('fresh.received_at') }}::date as first_day
    from first_new_structures as fresh
),

first_new_contacts as (
    select
        contacts.installation_key,
        min(contacts.contact_day) as contact_day
    from {{ ref('stg_raw__contacts') }} as contacts
    where contacts.load_id in {{ new_loads() }}
    group by contacts.installation_key
),

-- What was carried forward to the last contact before is carried on to the new one.
new_contacts as (
    select
        fresh.installation_key,
        least(
            fresh.contact_day,
            coalesce(
                (
                    select max(contacts.contact_day) + 1
                    from {{ ref('stg_raw__contacts') }} as contacts
                    where
                        contacts.installation_key = fresh.installation_key
                        and contacts.load_id not in {{ new_loads() }}
                ),
                '-infinity'::date
            )
        ) as from_day
    from first_new_contacts as fresh
),

found as (
    select
        new_actions.installation_key,
        new_actions.from_day as action_from_day,
        null::date as workload_from_day,
        null::date as snapshot_from_day,
        null::timestamptz as structure_from
    from new_actions
    union all
    select
        new_workloads.installation_key,
        null,
        new_workloads.from_day,
        null,
        null
    from new_workloads
    union all
    select
        new_structures.installation_key,
        null,
        null,
        new_structures.first_day,
        new_structures.structure_from
    from new_structures
    union all
    select
        new_contacts.installation_key,
        null,
        new_contacts.from_day as workload_from_day,
        new_contacts.from_day as snapshot_from_day,
        null
    from new_contacts
    {%- if told is not none %}
    union all
    select
        told.installation_key,
        coalesce(told.from_day, '-infinity'),
        coalesce(told.from_day, '-infinity'),
        coalesce(told.from_day, '-infinity'),
        coalesce(told.from_day::timestamptz, '-infinity')
    from {{ told }} as told
    {%- endif %}
    {%- if before is not none %}
    -- A run that did not finish touched these; its loads are still new.
    union all
    select
        before.installation_key,
        before.action_from_day,
        before.workload_from_day,
        before.snapshot_from_day,
        before.structure_from
    from {{ before }} as before
    where before.first_new_load_id in {{ new_loads() }}
    {%- endif %}
),

touched as (
    select
        found.installation_key,
        min(found.action_from_day) as action_from_day,
        min(found.workload_from_day) as workload_from_day,
        min(found.snapshot_from_day) as snapshot_from_day,
        min(found.structure_from) as structure_from
    from found
    group by found.installation_key
)
{% endif %}

select
    touched.installation_key,
    touched.action_from_day,
    touched.workload_from_day,
    touched.snapshot_from_day,
    touched.structure_from,
    (
        select min(pinned_load.load_id)
        from {{ source('ops', 'pinned_load') }} as pinned_load
        where pinned_load.is_new
    )
        as first_new_load_id
from touched
