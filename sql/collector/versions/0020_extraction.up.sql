-- For extraction: deltas of decisions are found by transaction, and how far the import of an original
-- collector's database has come.

create index installation_decision_xid_idx on collector.installation_decision (xid);

-- One row a table of the original's database: all its rows up to this position are landed.
create table collector.legacy_import (
    source text not null,
    table_name text not null,
    last_uid text not null default '',
    last_id bigint not null default 0,
    rows_read bigint not null default 0,
    records_landed bigint not null default 0,
    finished_at timestamptz,
    primary key (source, table_name)
);
