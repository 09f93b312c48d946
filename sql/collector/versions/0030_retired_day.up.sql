-- What partitions held that retention let go: the integrity report goes on counting it.
-- hash: the sum of uuid_hash_extended(landing_id, position) over the records.
create table collector.retired_day (
    kind text not null,
    day date not null,
    tier smallint not null,
    landings bigint not null,
    records bigint not null,
    hash numeric not null,
    primary key (kind, day, tier)
);

grant select on collector.retired_day to fuel_extract;
