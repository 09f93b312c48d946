drop function ops.remove_installation(uuid);
drop function ops.record_hash(uuid, integer, jsonb);
drop table ops.integrity;
drop table ops.schema_path;
drop table raw.removed_record;
drop table ops.raw_seal;
drop table ops.load_window;

alter table ops.load
drop column mode,
drop column superseded_by,
drop column source_xmax,
drop column max_row_xid,
drop column contacts,
drop column unreadable,
drop column removed,
drop column drift_scanned,
drop column alarms;
