drop function marts.action_records(uuid[], bigint, bigint);
