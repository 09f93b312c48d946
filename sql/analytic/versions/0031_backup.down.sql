drop table if exists ops.backup;
