-- Write, audit, publish: the life of a publication, and the one row that says which of them readers see.
-- A publication is built in schema build, audited there, staged into the versioned store pub.<table>,
-- and becomes visible by one update of ops.published. Its rules are kept here, not by the callers.

create table ops.publication (
    publication_id bigint generated always as identity primary key,
    state text not null default 'building' check (
        state in ('building', 'audited', 'published', 'superseded', 'rolled_back', 'failed', 'collected')
    ),
    reason text not null default 'scheduled',
    run_id text,
    newest_received_at timestamptz,
    started_at timestamptz not null default clock_timestamp(),
    built_at timestamptz,
    audited_at timestamptz,
    staged_at timestamptz,
    published_at timestamptz,
    ended_at timestamptz,
    rows_added bigint,
    rows_closed bigint,
    error_code text,
    error text
);

-- One at a time: what is being built is in one place (schema build), so a second would spoil the first.
create unique index publication_one_open on ops.publication ((true)) where state in ('building', 'audited');

-- The loads a publication covers that none before it covered: pinned before it is built.
create table ops.publication_load (
    publication_id bigint not null references ops.publication (publication_id) on delete cascade,
    load_id bigint not null,
    primary key (publication_id, load_id)
);

-- What the models read: the whole set of loads of the build that runs, and which of them no finished
-- build has seen. Rewritten when a build begins; a load that arrives meanwhile is not in it.
create table ops.pinned_load (
    load_id bigint primary key,
    is_new boolean not null,
    publication_id bigint not null
);

-- Installations whose rows changed without a load (an erasure, a decision taken by hand): increments take
-- them up again from from_day (null: their whole history). publication_id: the build that reads the row;
-- when it ends well the row goes.
create table ops.touched_installation (
    installation_key uuid primary key,
    from_day date,
    reason text not null,
    publication_id bigint,
    touched_at timestamptz not null default clock_timestamp()
);

-- Time and outcome of each step of a publication (pin, audit_raw, staging … publish).
create table ops.publication_step (
    publication_id bigint not null references ops.publication (publication_id) on delete cascade,
    step text not null,
    started_at timestamptz not null,
    seconds double precision not null,
    succeeded boolean not null,
    detail text,
    primary key (publication_id, step, started_at)
);

-- Status and time of each dbt model and test.
create table ops.dbt_result (
    publication_id bigint not null references ops.publication (publication_id) on delete cascade,
    layer text not null,
    unique_id text not null,
    resource_type text not null,
    status text not null,
    seconds double precision not null,
    rows_affected bigint,
    failures bigint,
    message text,
    finished_at timestamptz not null default clock_timestamp(),
    primary key (publication_id, layer, unique_id)
);

-- What staging changed in each table of the versioned store.
create table ops.publication_table (
    publication_id bigint not null references ops.publication (publication_id) on delete cascade,
    table_name text not null,
    rows_total bigint not null,
    rows_added bigint not null,
    rows_closed bigint not null,
    seconds double precision not null,
    primary key (publication_id, table_name)
);

-- One row an expectation and audit.
create table ops.audit_result (
    publication_id bigint not null references ops.publication (publication_id) on delete cascade,
    suite text not null check (suite in ('raw', 'marts')),
    expectation text not null,
    table_name text not null,
    severity text not null check (severity in ('block', 'warn')),
    succeeded boolean not null,
    observed double precision,
    unexpected bigint,
    detail text,
    checked_at timestamptz not null default clock_timestamp(),
    primary key (publication_id, suite, expectation)
);

create index audit_result_trend_idx on ops.audit_result (suite, expectation, publication_id);

-- Which publication readers see. One row, or none before the first.
create table ops.published (
    only_row boolean primary key default true check (only_row),
    publication_id bigint not null references ops.publication (publication_id),
    switched_at timestamptz not null default clock_timestamp()
);

-- building -> audited -> published <-> superseded / rolled_back -> collected; building, audited -> failed.
create function ops.check_publication_state()
returns trigger
language plpgsql
as $$
declare
    broken text;
begin
    if old.state = new.state then
        return new;
    end if;
    if (old.state, new.state) not in (
        ('building', 'audited'), ('building', 'failed'), ('audited', 'failed'), ('audited', 'published'),
        ('published', 'superseded'), ('published', 'rolled_back'), ('superseded', 'published'),
        ('rolled_back', 'published'), ('superseded', 'collected'), ('rolled_back', 'collected')
    ) then
        raise exception 'publication % cannot go from % to %', new.publication_id, old.state, new.state
            using errcode = 'FS001';
    end if;
    if new.state = 'audited' then
        if (
            select count(distinct r.suite) from ops.audit_result as r
            where r.publication_id = new.publication_id
        ) < 2 then
            raise exception 'publication % was not audited: it needs results of the suites raw and marts',
                new.publication_id using errcode = 'FS002';
        end if;
        select string_agg(r.suite || '.' || r.expectation, ', ' order by r.suite, r.expectation) into broken
        from ops.audit_result as r
        where r.publication_id = new.publication_id and r.severity = 'block' and not r.succeeded;
        if broken is not null then
            raise exception 'publication % has failed blocking expectations: %', new.publication_id, broken
                using errcode = 'FS003';
        end if;
        new.audited_at := clock_timestamp();
    end if;
    if new.state = 'published' and old.state = 'audited' and new.staged_at is null then
        raise exception 'publication % is not staged', new.publication_id using errcode = 'FS004';
    end if;
    return new;
end
$$;

create trigger publication_state before update on ops.publication
for each row execute function ops.check_publication_state();

create function ops.check_publication_birth()
returns trigger
language plpgsql
as $$
begin
    if new.state <> 'building' then
        raise exception 'a publication begins in state building, not %', new.state using errcode = 'FS001';
    end if;
    return new;
end
$$;

create trigger publication_birth before insert on ops.publication
for each row execute function ops.check_publication_birth();

-- The pointer moves only to what is audited and staged, or was published before and is still kept.
create function ops.check_published()
returns trigger
language plpgsql
as $$
declare
    target ops.publication;
begin
    if tg_op = 'DELETE' then
        raise exception 'the pointer to the published version is moved, never removed' using errcode = 'FS005';
    end if;
    select * into target from ops.publication as p where p.publication_id = new.publication_id for update;
    if target.state is distinct from 'audited'
        and target.state is distinct from 'superseded'
        and target.state is distinct from 'rolled_back'
    then
        raise exception 'publication % is %: only an audited publication can be published',
            new.publication_id, target.state using errcode = 'FS006';
    end if;
    if tg_op = 'UPDATE' then
        update ops.publication set
            state = case when old.publication_id < new.publication_id then 'superseded' else 'rolled_back' end
        where publication_id = old.publication_id and state = 'published';
    end if;
    update ops.publication set
        state = 'published',
        published_at = coalesce(published_at, clock_timestamp()),
        ended_at = coalesce(ended_at, clock_timestamp())
    where publication_id = new.publication_id;
    new.switched_at := clock_timestamp();
    return new;
end
$$;

create trigger published_rule before insert or update or delete on ops.published
for each row execute function ops.check_published();

-- The publication that the current statement reads: the published one, or, where the setting
-- fuel_stat.as_of names an earlier one that is still kept, that one. Evaluated once a statement and view.
create function ops.visible_publication()
returns bigint
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, ops
as $$
declare
    wanted text := nullif(current_setting('fuel_stat.as_of', true), '');
    found_id bigint;
begin
    if wanted is null then
        return (select p.publication_id from ops.published as p);
    end if;
    select p.publication_id into found_id from ops.publication as p
    where p.publication_id = wanted::bigint and p.state in ('published', 'superseded', 'rolled_back');
    if found_id is null then
        raise exception 'publication % cannot be read: it was never published, or its rows were collected', wanted
            using errcode = 'FS007';
    end if;
    return found_id;
end
$$;

-- Each expectation beside what it observed the last time and a week ago.
create view ops.audit_trend as
select
    r.publication_id,
    r.suite,
    r.expectation,
    r.table_name,
    r.severity,
    r.succeeded,
    r.observed,
    r.unexpected,
    r.detail,
    r.checked_at,
    lag(r.observed) over earlier as observed_before,
    lag(r.succeeded) over earlier as succeeded_before,
    count(*) filter (where not r.succeeded) over last_hundred as failures_in_last_hundred
from ops.audit_result as r
window
    earlier as (partition by r.suite, r.expectation order by r.publication_id),
    last_hundred as (
        partition by r.suite, r.expectation order by r.publication_id rows between 99 preceding and current row
    );

-- One row: what is published, and how the last attempt went. For status pages.
create view ops.publication_status as
select
    shown.publication_id,
    shown.published_at,
    pointer.switched_at,
    shown.newest_received_at,
    shown.state,
    tried.publication_id as last_publication_id,
    tried.state as last_state,
    tried.run_id as last_run_id,
    tried.started_at as last_started_at,
    tried.ended_at as last_ended_at,
    tried.error_code as last_error_code,
    tried.error as last_error,
    (
        select max(done.published_at) from ops.publication as done
        where done.published_at is not null
    ) as last_published_at,
    coalesce(audited.failed, '[]'::jsonb) as last_failed_expectations,
    case
        when audited.checked is null then 'none'
        when audited.blocked > 0 then 'failed'
        when jsonb_array_length(coalesce(audited.failed, '[]'::jsonb)) > 0 then 'warned'
        else 'passed'
    end as last_audit,
    audited.checked as last_audited_at
from (select true as one) as only_row -- noqa: ST11
left join ops.published as pointer on true
left join ops.publication as shown on pointer.publication_id = shown.publication_id
left join lateral ( -- noqa: ST05
    select p.*
    from ops.publication as p
    order by p.publication_id desc
    limit 1
) as tried on true
left join lateral (
    select
        max(r.checked_at) as checked,
        count(*) filter (where r.severity = 'block' and not r.succeeded) as blocked,
        jsonb_agg(
            jsonb_build_object(
                'suite', r.suite, 'expectation', r.expectation, 'table', r.table_name,
                'severity', r.severity, 'unexpected', r.unexpected, 'detail', r.detail
            )
            order by r.severity, r.suite, r.expectation
        ) filter (where not r.succeeded) as failed
    from ops.audit_result as r
    where r.publication_id = tried.publication_id
) as audited on true;

grant execute on function ops.visible_publication() to fuel_analytics;
grant select on ops.publication, ops.published, ops.publication_step, ops.publication_table, ops.audit_result,
ops.audit_trend, ops.publication_status, ops.dbt_result, ops.pinned_load to fuel_analytics;
