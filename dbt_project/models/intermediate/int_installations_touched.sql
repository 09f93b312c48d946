{{ config(indexes=[{'columns': ['installation_key']}]) }}

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
        null::timestamptz as structure_from,
        null::date as deployment_from_day
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

new_structures as (
    select
        structures.installation_key,
        min(structures.received_at) as received_at
    from {{ ref('stg_raw__installation_structures') }} as structures
    where structures.load_id in {{ new_loads() }}
    group by structures.installation_key
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
                    -- By the index from the end: not max(), which would read them all.
                    select contacts.contact_day + 1
                    from {{ ref('stg_raw__contacts') }} as contacts
                    where
                        contacts.installation_key = fresh.installation_key
                        and contacts.load_id not in {{ new_loads() }}
                    order by contacts.contact_day desc
                    limit 1
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
        {{ utc('new_structures.received_at') }}::date,
        new_structures.received_at
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
        coalesce(told.from_day::timestamp at time zone 'UTC', '-infinity')
    from {{ told }} as told
    {%- endif %}
),

earliest as (
    select
        found.installation_key,
        min(found.action_from_day) as action_from_day,
        min(found.workload_from_day) as workload_from_day,
        min(found.snapshot_from_day) as snapshot_from_day,
        min(found.structure_from) as structure_from
    from found
    group by found.installation_key
),

-- The structure version before is rebuilt too: it ends where the first one that changed begins.
versioned as (
    select
        earliest.*,
        {% if previous('int_structures_versioned') is not none -%}
        (
            select max(versions.valid_from) -- noqa: RF01
            from {{ previous('int_structures_versioned') }} as versions
            where
                versions.installation_key = earliest.installation_key
                and versions.valid_from < earliest.structure_from
        )
        {%- else %}null::timestamptz{% endif %} as version_before
    from earliest
),

dated as (
    select
        versioned.installation_key,
        versioned.action_from_day,
        versioned.workload_from_day,
        versioned.snapshot_from_day,
        coalesce(versioned.version_before, versioned.structure_from) as structure_from,
        -- Deployments tell the environment's size and the release on the day they were received.
        least(
            versioned.action_from_day,
            case
                when versioned.structure_from is not null and versioned.version_before is null
                    then '-infinity'::date
            end
            {%- if previous('fct_deployment') is not none %},
            (
                select min(deployments.event_day) -- noqa: RF01
                from {{ previous('fct_deployment') }} as deployments
                where
                    deployments.installation_key = versioned.installation_key
                    and deployments.received_day >= versioned.snapshot_from_day
            )
            {%- endif %}
        ) as deployment_from_day
    from versioned
    {%- if before is not none %}
    -- A run that did not finish touched these; its loads are still new.
    union all
    select
        before.installation_key,
        before.action_from_day,
        before.workload_from_day,
        before.snapshot_from_day,
        before.structure_from,
        before.deployment_from_day
    from {{ before }} as before
    where before.first_new_load_id in {{ new_loads() }}
    {%- endif %}
),

touched as (
    select
        dated.installation_key,
        min(dated.action_from_day) as action_from_day,
        min(dated.workload_from_day) as workload_from_day,
        min(dated.snapshot_from_day) as snapshot_from_day,
        min(dated.structure_from) as structure_from,
        min(dated.deployment_from_day) as deployment_from_day
    from dated
    group by dated.installation_key
)
{% endif %}

select
    touched.installation_key,
    touched.action_from_day,
    touched.workload_from_day,
    touched.snapshot_from_day,
    touched.structure_from,
    touched.deployment_from_day,
    (
        select min(pinned_load.load_id)
        from {{ source('ops', 'pinned_load') }} as pinned_load
        where pinned_load.is_new
    )
        as first_new_load_id
from touched
