-- The catalogue of backups of the collector's cluster. The same facts lie beside each backup in
-- backup.json, so that a backup can be found and restored without this database.
create table ops.backup (
    backup_id text primary key,
    state text not null check (state in ('running', 'taken', 'verified', 'failed', 'removed')),
    path text not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    bytes bigint,
    compression text,
    system_identifier text,
    bound_xid xid8,
    landings bigint,
    landing_hash numeric,
    verified_at timestamptz,
    drilled_at timestamptz,
    drill_passed boolean,
    drill_detail jsonb,
    error text
);

grant select on ops.backup to fuel_analytics;
