-- A workload record's key is written again with each differing version, and nothing that is indexed changes: with room
-- left on the page the new row stays there and no index is touched. Pages that are full already keep their way.
alter table collector.ledger_version set (fillfactor = 80);
