"""The last stage of the integrity report: what readers see after a publication is what was audited."""

from __future__ import annotations

from typing import Any

import pytest

from warehouse import publish, publish_views
from warehouse.integrity_published import note_published

FACT = """
create table build.fct_action as
select gen_random_uuid() as landing_id, i::integer as position, 0::smallint as tier, day as received_at
from generate_series(1, 3) as i, unnest(array['2026-03-01 12:00+00', '2026-03-02 12:00+00']::timestamptz []) as day
"""
# What the check before the publication leaves: the facts that were built, by place; nothing is published yet.
CHECKED = """
insert into ops.integrity (kind, received_day, tier, fact_count, fact_hash, agrees)
select 'action_logs', (received_at at time zone 'UTC')::date, tier, count(*),
    sum(uuid_hash_extended(landing_id, position)), true
from build.fct_action group by 2, 3
"""
NOTED = "select received_day::text, published_count, agrees, disagreement from ops.integrity order by 1"


@pytest.fixture
def published(warehouse: Any) -> int:
    """A publication of a fact of two days, checked before it was switched to."""
    warehouse.connection.execute(FACT)
    publication_id = warehouse.audited(["fct_action"])
    warehouse.connection.execute(CHECKED)
    publish.switch(
        warehouse.connection,
        publication_id,
        before=lambda: publish_views.bring_in_line(warehouse.connection, ["fct_action"]),
    )
    return int(publication_id)


def test_what_readers_see_is_counted_after_the_switch(warehouse: Any, published: int) -> None:
    """Every place that was checked has its published count, equal to the facts."""
    assert note_published(warehouse.connection, published) == []
    assert warehouse.connection.execute(NOTED).fetchall() == [
        ("2026-03-01", 3, True, None),
        ("2026-03-02", 3, True, None),
    ]


def test_a_row_that_publishing_lost_is_named_by_its_place(warehouse: Any, published: int) -> None:
    """A record that readers do not see disagrees, on its day only, and the report says so."""
    warehouse.connection.execute(
        "delete from pub.fct_action where position = 2 and received_at::date = '2026-03-02'"
    )
    sentence = "action_logs 2026-03-02 T0: 2 published, 3 in the audited facts"
    assert note_published(warehouse.connection, published) == [sentence]
    assert warehouse.connection.execute(NOTED).fetchall() == [
        ("2026-03-01", 3, True, None),
        ("2026-03-02", 2, False, sentence),
    ]


def test_a_record_exchanged_for_another_is_noticed(warehouse: Any, published: int) -> None:
    """The count may be right and the records wrong: the hash tells."""
    warehouse.connection.execute(
        "update pub.fct_action set position = 99 where position = 1 and received_at::date = '2026-03-01'"
    )
    assert note_published(warehouse.connection, published) == [
        "action_logs 2026-03-01 T0: 3 published, 3 in the audited facts"
    ]


def test_a_day_of_another_check_is_left_alone(warehouse: Any, published: int) -> None:
    """Only the places that were checked for this publication are counted again."""
    warehouse.connection.execute(
        "update ops.integrity set checked_at = '2026-01-01' where received_day = '2026-03-01'"
    )
    assert note_published(warehouse.connection, published) == []
    assert [row[1] for row in warehouse.connection.execute(NOTED)] == [None, 3]


def test_a_publication_that_readers_no_longer_see_is_not_judged(warehouse: Any, published: int) -> None:
    """After a rollback the older facts are up, and rightly differ from what was checked last."""
    later = warehouse.audited(["fct_action"])
    publish.switch(warehouse.connection, later)
    warehouse.connection.execute("delete from pub.fct_action where position = 1")
    assert note_published(warehouse.connection, published) == []
