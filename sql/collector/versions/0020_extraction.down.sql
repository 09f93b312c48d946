drop table collector.legacy_import;
drop index collector.installation_decision_xid_idx;
