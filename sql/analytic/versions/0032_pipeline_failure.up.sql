-- Tasks that failed for good, as the failure callback saw them.
create table ops.pipeline_failure (
    failure_id bigint generated always as identity primary key,
    dag text not null,
    task text not null,
    run_id text not null,
    tries integer not null,
    code text not null,
    message text not null,
    failed_at timestamptz not null default clock_timestamp()
);

grant select on ops.pipeline_failure to fuel_analytics;
