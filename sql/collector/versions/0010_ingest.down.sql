drop function collector.erase_node(text);
drop index collector.quarantine_node_idx;
alter table collector.ledger_latest drop column versions;
alter table collector.ledger_version drop column versions;
