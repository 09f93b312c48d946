drop table collector.node_flag;
drop table collector.node_block;
drop table collector.enrolment_code;
drop table collector.node_key;
drop function collector.count_identity_change();
drop sequence collector.identity_version;
