"""The ground that other tests stand on: clusters, roles, migrations."""

from __future__ import annotations

import psycopg
import pytest

from fuel_stat import migrations
from fuel_stat.postgres import rebuild_standby


def test_what_the_primary_commits_reaches_the_standby(collector_pair):
    """A row committed on the primary is read on the standby, by the extraction role."""
    with psycopg.connect(collector_pair.dsn("fuel_ingest")) as connection:
        connection.execute(
            "insert into collector.landing (node, uid, kind, records, payload_bytes, payload)"
            " values (gen_random_uuid(), 'u', 'action_logs', 1, 2, '\\x00')"
        )
    collector_pair.wait_replayed()
    with psycopg.connect(collector_pair.dsn("fuel_extract", standby=True)) as connection:
        assert connection.execute("select count(*) from collector.landing").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement", ["update collector.landing set uid = 'x'", "delete from collector.landing"]
)
def test_the_collector_role_cannot_touch_landed_rows(collector_pair, statement):
    """fuel_ingest may insert landed rows; updating or deleting them is refused by the database."""
    with psycopg.connect(collector_pair.dsn("fuel_ingest")) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize("database", ["collector", "analytic"])
def test_migrations_go_down_and_up_again(collector_pair, analytic_db, database):
    """Every migration has a way back: down to empty and up again ends at the newest revision."""
    dsn = collector_pair.dsn() if database == "collector" else analytic_db.dsn()
    migrations.downgrade(dsn, database)
    assert migrations.current_revision(dsn) is None
    migrations.upgrade(dsn, database)
    assert migrations.current_revision(dsn) == migrations.newest_revision(database)


def test_partitions_are_premade_and_their_runway_is_counted(collector_pair):
    """Three months ahead exist from the first day, and the runway is the days until the last one ends."""
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as connection:
        runway = connection.execute("select collector.partition_runway_days()").fetchone()
        assert runway is not None
        assert runway[0] >= 88
        created = connection.execute(
            "select collector.ensure_partitions(current_date, (current_date + interval '5 months')::date)"
        ).fetchone()
        assert created == (2,)


@pytest.mark.slow
def test_a_lost_standby_is_rebuilt_from_the_primary(own_pair):
    """A standby whose data is gone is made anew, streams again, and has what was written meanwhile."""
    own_pair.standby.destroy()
    with psycopg.connect(own_pair.dsn("fuel_admin")) as connection:
        connection.execute("insert into collector.node (node, uid) values (gen_random_uuid(), 'while-away')")
    rebuild_standby(own_pair.primary, own_pair.standby)
    own_pair.standby.start(tied=True)
    own_pair.wait_replayed()
    with psycopg.connect(own_pair.dsn("fuel_extract", standby=True)) as connection:
        assert connection.execute("select uid from collector.node").fetchall() == [("while-away",)]
