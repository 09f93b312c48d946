alter table collector.ledger_version reset (fillfactor);
