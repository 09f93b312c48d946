"""What counts as a sign of a cloned machine, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest_api.identity.clones import count_ids_back, count_returns

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_versions_that_alternate_are_counted():
    """A B A B A returns three times; a node that only moves on never does."""
    assert count_returns(["a", "b", "a", "b", "a"]) == 3
    assert count_returns(["a", "b", "c"]) == 0


def test_a_backlog_that_drains_in_halves_is_no_clone():
    """Within one cycle ids come in any order: nothing is counted."""
    batches = [(START + timedelta(minutes=number), range(100 - number, 100)) for number in range(50)]
    assert count_ids_back(batches) == 0


def test_ids_far_below_yesterdays_are_counted():
    """A second machine that counts from the start shows as ids below what was settled a day before."""
    batches = [(START, range(1000)), (START + timedelta(days=2), range(50, 80))]
    assert count_ids_back(batches) == 30
