-- Who may speak for a uid: keys that nodes enrolled, one-time codes, blocks, and what looked wrong.

create table collector.node_key (
    node uuid not null,
    uid text not null,
    key_id text not null,
    public_key bytea not null check (octet_length(public_key) = 32),
    tier smallint not null check (tier in (1, 2)),
    state text not null check (state in ('pending', 'active', 'retired', 'revoked')),
    enrolled_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp(),
    last_created bigint not null default 0,
    primary key (node, key_id)
);

-- One key speaks for a node: concurrent first enrolments of one uid cannot both win.
create unique index node_key_active_idx on collector.node_key (node) where state = 'active';

create table collector.enrolment_code (
    code_digest bytea primary key,
    uid text,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    used_at timestamptz,
    used_by text
);

create table collector.node_block (
    node uuid primary key,
    uid text not null,
    reason text not null,
    blocked_at timestamptz not null default clock_timestamp()
);

create table collector.node_flag (
    node uuid not null,
    uid text not null,
    flag text not null check (flag in ('alternating_structures', 'ids_go_back', 'two_keys')),
    detail text not null,
    seen_count bigint not null default 1,
    first_seen timestamptz not null default clock_timestamp(),
    last_seen timestamptz not null default clock_timestamp(),
    primary key (node, flag)
);

-- Counts every change of keys and blocks, so that a worker learns with one cheap read that its cache is old.
create sequence collector.identity_version;

create function collector.count_identity_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, collector
as $$
begin
    perform nextval('collector.identity_version');
    return null;
end
$$;

create trigger node_key_changed
after insert or delete or update of state, tier on collector.node_key
for each statement execute function collector.count_identity_change();

create trigger node_block_changed
after insert or delete or update on collector.node_block
for each statement execute function collector.count_identity_change();

grant select, insert, update on collector.node_key to fuel_ingest;
grant select on collector.node_block to fuel_ingest;
grant select, update (used_at, used_by) on collector.enrolment_code to fuel_ingest;
grant insert, select, update on collector.node_flag to fuel_ingest;
grant select on sequence collector.identity_version to fuel_ingest;
grant select on collector.node_key, collector.node_block, collector.node_flag to fuel_extract;
