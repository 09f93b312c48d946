-- Loads as analysts read them, and the loads whose records were not yet looked through for new paths.

create index load_drift_pending_idx on ops.load (load_id)
where not drift_scanned and state = 'loaded' and records > 0;

comment on table ops.load is
'One row a load: what was taken over from the collector''s standby, and what held it back. Empty runs extend the '
'latest empty row.';
comment on column ops.load.state is 'loaded, or failed (then error says why, with its code first).';
comment on column ops.load.mode is
'window: new records; resync: compared again after a restore or promotion; reload: days read again on request.';
comment on column ops.load.from_xid is 'First transaction of the window [from_xid, to_xid) at the collector.';
comment on column ops.load.to_xid is 'First transaction after the window: the watermark once it is loaded.';
comment on column ops.load.landings is 'Landed requests in the window.';
comment on column ops.load.records is 'Records that came into raw, one row each.';
comment on column ops.load.bytes is 'Compressed size of the landed requests.';
comment on column ops.load.lag_seconds is 'How far the standby''s replay was behind the primary.';
comment on column ops.load.oldest_transaction is
'Who holds the window: xid, transactions_behind, seen_at, and from the primary, where it could be asked, database, '
'pid, role, application, state, seconds (open since), prepared. null: nobody.';
comment on column ops.load.alarms is
'What an operator should look at, each with code and sentence: standby_lags, window_held, unreadable_records.';
comment on column ops.load.removed is 'Records taken out of raw again; they are kept in raw.removed_record.';
comment on column ops.load.unreadable is 'Records that could not be stored as they are: a marked row stands for each.';
comment on column ops.load.drift_scanned is 'Whether its records were looked through for new paths (ops.schema_path).';

comment on table ops.schema_path is
'Every path that records ever had: type, first and last sight, in how many records, from which releases; no values. '
'Lists are [] in a path, names that are identifiers {name}.';
