"""The life of a publication, and what the database refuses whoever asks."""

from __future__ import annotations

import psycopg
import pytest

from warehouse import pipeline, publish, publish_collect, publish_store


def test_readers_see_nothing_until_the_switch_and_all_of_it_after(warehouse):
    """Staging writes into the store; only moving the pointer shows it."""
    warehouse.publish()
    warehouse.build(2)
    second = warehouse.audited()
    assert warehouse.seen() == (1, 1, 50)
    publish.switch(warehouse.connection, second)
    assert warehouse.seen() == (2, 2, 50)


def test_only_differences_are_written(warehouse):
    """A build that changes one row adds one version and closes one."""
    warehouse.publish()
    warehouse.connection.execute("update build.fct_thing set version = 9 where id = 7")
    found = publish.find(warehouse.connection, warehouse.publish())
    assert (found.rows_added, found.rows_closed) == (1, 1)
    assert warehouse.seen() == (1, 9, 50)


def test_a_publication_that_was_not_audited_cannot_be_published(warehouse):
    """The database refuses the pointer, whoever moves it and however."""
    warehouse.publish()
    building = publish.begin(warehouse.connection).publication_id
    with pytest.raises(publish.PublicationError) as refused:
        publish.switch(warehouse.connection, building)
    assert refused.value.code == "not_publishable"
    with pytest.raises(psycopg.DatabaseError) as raw:
        warehouse.connection.execute("update ops.published set publication_id = %s", (building,))
    assert raw.value.sqlstate == "FS006"
    with pytest.raises(psycopg.DatabaseError) as state:
        warehouse.connection.execute(
            "update ops.publication set state = 'published' where publication_id = %s", (building,)
        )
    assert state.value.sqlstate == "FS001"
    assert warehouse.seen() == (1, 1, 50)


def test_a_failed_blocking_expectation_keeps_the_published_numbers(warehouse):
    """Audited is a state that the database gives only when nothing that blocks failed, and both suites ran."""
    warehouse.publish()
    warehouse.build(2)
    failed = publish.begin(warehouse.connection).publication_id
    publish.mark_built(warehouse.connection, failed)
    with pytest.raises(publish.PublicationError) as missing:
        publish.mark_audited(warehouse.connection, failed)
    assert missing.value.code == "not_audited"
    warehouse.record_audits(failed, succeeded=False)
    with pytest.raises(publish.PublicationError) as blocked:
        publish.mark_audited(warehouse.connection, failed)
    assert blocked.value.code == "audit_failed"
    assert "marts.rule" in blocked.value.sentence
    publish.fail(warehouse.connection, failed, "audit_failed", "marts.rule failed")
    assert warehouse.seen() == (1, 1, 50)
    status = warehouse.seen("select last_state, last_error_code, last_audit from ops.publication_status")
    assert status == ("failed", "audit_failed", "failed")
    warehouse.publish()
    assert warehouse.seen() == (2, 2, 50)


def test_a_failed_warning_does_not_block(warehouse):
    """Severity decides: a warning is recorded, and the publication goes on."""
    found = publish.begin(warehouse.connection).publication_id
    warehouse.record_audits(found, succeeded=False, severity="warn")
    publish.mark_audited(warehouse.connection, found)
    assert publish.find(warehouse.connection, found).state == "audited"


def test_what_is_audited_but_not_staged_cannot_be_published(warehouse):
    """Without its rows in the store a publication would be empty."""
    found = publish.begin(warehouse.connection).publication_id
    warehouse.record_audits(found)
    publish.mark_audited(warehouse.connection, found)
    with pytest.raises(publish.PublicationError, match="not staged"):
        publish.switch(warehouse.connection, found)


def test_the_pointer_cannot_be_removed(warehouse):
    """Readers always have a version."""
    warehouse.publish()
    with pytest.raises(psycopg.DatabaseError) as refused:
        warehouse.connection.execute("delete from ops.published")
    assert refused.value.sqlstate == "FS005"


def test_rollback_returns_to_the_one_before_and_the_next_build_goes_on(warehouse):
    """Rolling back moves the pointer; what is built next is compared with the newest state, not with what is shown."""
    first = warehouse.publish()
    warehouse.build(2)
    second = warehouse.publish()
    assert publish.rollback(warehouse.connection).publication_id == first
    assert warehouse.seen() == (1, 1, 50)
    assert publish.find(warehouse.connection, second).state == "rolled_back"
    warehouse.build(3)
    warehouse.publish()
    assert warehouse.seen() == (3, 3, 50)
    publish.rollback(warehouse.connection, second)
    assert warehouse.seen() == (2, 2, 50)


def test_rollback_without_an_earlier_publication_says_so(warehouse):
    """An operator gets a sentence."""
    warehouse.publish()
    with pytest.raises(publish.PublicationError) as refused:
        publish.rollback(warehouse.connection)
    assert refused.value.code == "nothing_to_roll_back_to"


def test_a_reader_can_look_at_an_earlier_publication(warehouse):
    """The setting fuel_stat.as_of chooses a version that was published and is kept; any other is an error."""
    first = warehouse.publish()
    warehouse.build(2)
    unpublished = warehouse.audited()
    with psycopg.connect(warehouse.reader_dsn, autocommit=True) as reader:
        reader.execute(f"set fuel_stat.as_of = '{unpublished}'".encode())
        with pytest.raises(psycopg.DatabaseError) as refused:
            reader.execute("select count(*) from marts.fct_thing")
        assert refused.value.sqlstate == "FS007"
        publish.switch(warehouse.connection, unpublished)
        assert reader.execute("select max(version) from marts.fct_thing").fetchone() == (2,)
        reader.execute(f"set fuel_stat.as_of = '{first}'".encode())
        assert reader.execute("select max(version) from marts.fct_thing").fetchone() == (1,)


def test_equal_rows_are_counted_not_merged(warehouse):
    """A table without a key keeps every one of its equal rows, and loses as many as the build lost."""
    warehouse.connection.execute("insert into build.fct_thing values (1, 1), (1, 1)")
    warehouse.publish()
    assert warehouse.seen("select count(*) from marts.fct_thing where id = 1") == (3,)
    warehouse.connection.execute(
        "delete from build.fct_thing where ctid in (select ctid from build.fct_thing where id = 1 limit 1)"
    )
    warehouse.publish()
    assert warehouse.seen("select count(*) from marts.fct_thing where id = 1") == (2,)


def test_null_and_empty_differ(warehouse):
    """A value that becomes null is a change."""
    warehouse.publish()
    warehouse.connection.execute("update build.fct_thing set version = null where id = 1")
    warehouse.publish()
    assert warehouse.seen("select count(*) from marts.fct_thing where version is null") == (1,)


def test_columns_may_come_go_and_change_their_type(warehouse):
    """The views follow the build's columns; earlier publications stay readable."""
    first = warehouse.publish()
    execute = warehouse.connection.execute
    execute("alter table build.fct_thing add column label text default 'x'")
    warehouse.publish()
    assert warehouse.seen("select version, label from marts.fct_thing where id = 1") == (1, "x")
    execute("alter table build.fct_thing alter column version type bigint")
    execute("alter table build.fct_thing drop column label")
    warehouse.publish()
    assert warehouse.seen("select pg_typeof(version)::text, version from marts.fct_thing where id = 1") == (
        "bigint",
        1,
    )
    assert publish_store.columns(warehouse.connection, "marts", "fct_thing")[-1].name == "version"
    publish.rollback(warehouse.connection, first)
    assert warehouse.seen() == (1, 1, 50)


def test_a_type_that_earlier_values_do_not_fit_fails_before_anything_changes(warehouse):
    """The publication fails with a sentence; readers keep what they have."""
    warehouse.connection.execute("alter table build.fct_thing add column label text default 'not a number'")
    warehouse.publish()
    warehouse.connection.execute(
        "alter table build.fct_thing drop column label, add column label int default 5"
    )
    with pytest.raises(publish.PublicationError) as refused:
        warehouse.publish()
    assert refused.value.code == "incompatible_type"
    assert warehouse.seen("select max(label) from marts.fct_thing") == ("not a number",)


def test_a_model_that_is_no_longer_published_leaves_no_view(warehouse):
    """Its rows end with the publication that lacks it; a rollback would still find them."""
    warehouse.publish()
    warehouse.publish(["fct_thing"])
    assert warehouse.seen("select to_regclass('marts.dim_thing')") == (None,)
    assert warehouse.seen() == (1, 1, 50)


def test_indexes_of_the_models_are_made_in_the_store(warehouse):
    """What the model declares for its readers holds for the published table, without uniqueness."""
    warehouse.connection.execute("create unique index on build.fct_thing (id)")
    warehouse.publish()
    warehouse.build(2)
    warehouse.publish()
    defined = warehouse.connection.execute(
        "select indexdef from pg_indexes where schemaname = 'pub' and tablename = 'fct_thing'"
    ).fetchall()
    assert sum("(id)" in text for (text,) in defined) == 1
    assert not any("UNIQUE" in text for (text,) in defined)


def test_old_versions_are_collected_and_the_published_one_never(warehouse):
    """Rows that no kept publication needs go; the kept ones read as before."""
    first = warehouse.publish()
    for version in range(2, 6):
        warehouse.build(version)
        warehouse.publish()
    removed = publish_collect.collect(warehouse.connection, publish_collect.Keep(2, 0, 0))
    assert removed == 2 * 3 * 50
    assert warehouse.seen() == (5, 5, 50)
    assert publish.find(warehouse.connection, first).state == "collected"
    publish.rollback(warehouse.connection)
    assert warehouse.seen() == (4, 4, 50)
    with pytest.raises(publish.PublicationError):
        publish.rollback(warehouse.connection, first)


def test_a_publication_covers_the_loads_that_were_there_when_it_began(warehouse):
    """A load that arrives later belongs to the next one; an empty load to none, because it may still be extended."""
    begun = publish.begin(warehouse.connection)
    late, empty = warehouse.load(), warehouse.load(None)
    pinned = {row[0] for row in warehouse.connection.execute("select load_id from ops.pinned_load")}
    assert late not in pinned
    publish.mark_built(warehouse.connection, begun.publication_id)
    publish.begin(warehouse.connection)
    rows = dict(warehouse.connection.execute("select load_id, is_new from ops.pinned_load").fetchall())
    assert rows[late] is True
    assert empty not in rows
    assert [new for load, new in rows.items() if load != late] == [False]


def test_loads_of_a_build_that_never_ended_are_new_again(warehouse):
    """A run that is gone is declared abandoned by the next, which covers its loads."""
    gone = publish.begin(warehouse.connection)
    following = publish.begin(warehouse.connection)
    assert publish.find(warehouse.connection, gone.publication_id).error_code == "abandoned"
    assert warehouse.connection.execute("select bool_and(is_new) from ops.pinned_load").fetchone() == (True,)
    with pytest.raises(publish.PublicationError, match="newer run"):
        publish.mark_built(warehouse.connection, gone.publication_id)
    publish.mark_built(warehouse.connection, following.publication_id)


def test_touched_installations_stay_until_a_build_has_ended(warehouse):
    """An erasure that comes while dbt runs is left for the next build."""
    execute = warehouse.connection.execute
    execute(
        "insert into ops.touched_installation (installation_key, reason) values (gen_random_uuid(), 'before')"
    )
    begun = publish.begin(warehouse.connection)
    execute(
        "insert into ops.touched_installation (installation_key, reason) values (gen_random_uuid(), 'meanwhile')"
    )
    publish.mark_built(warehouse.connection, begun.publication_id)
    assert execute("select reason from ops.touched_installation").fetchall() == [("meanwhile",)]


def test_before_the_first_load_there_is_nothing_to_build(analytic_db, tmp_path):
    """A schedule that fires before the first extraction must not publish an empty star, forced or not."""
    places = pipeline.Places(analytic_db.dsn("fuel_warehouse"), home=tmp_path)
    with pipeline.connect(places.warehouse_dsn) as connection:
        connection.execute("insert into ops.load (state) values ('loaded')")
    assert pipeline.begin(places) is None
    assert pipeline.begin(places, force=True) is None


def test_nothing_new_is_said_only_when_all_is_published(warehouse):
    """A failed build, a new load and a touched installation each are something new."""
    assert publish.has_new(warehouse.connection)
    warehouse.publish()
    assert not publish.has_new(warehouse.connection)
    warehouse.load(None)
    assert not publish.has_new(warehouse.connection)
    failed = publish.begin(warehouse.connection)
    publish.fail(warehouse.connection, failed.publication_id, "dbt_failed", "a model")
    assert publish.has_new(warehouse.connection)
