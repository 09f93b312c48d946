"""When the watch asks for an extraction, on a clock of the test's own."""

from __future__ import annotations

import pytest

from warehouse.pipeline_watch import Decider, Look, Rhythm

RHYTHM = Rhythm(look=1, apart=5, hold=60, again=60)
QUIET = Look(100)
LANDED = Look(100, landed=True)


@pytest.fixture
def decider() -> Decider:
    """A watch that has just started, at 1000 seconds."""
    return Decider(RHYTHM, 1000)


def test_nothing_is_asked_for_while_nothing_lands(decider):
    """A quiet hour starts no process."""
    assert not any(decider.decide(QUIET, 1000 + second) for second in range(3600))


def test_the_first_row_after_a_quiet_time_is_asked_for_at_once(decider):
    """No waiting for a schedule."""
    assert decider.decide(QUIET, 1000) is None
    assert decider.decide(LANDED, 1001) == "rows have landed"


def test_the_next_run_is_asked_for_when_the_last_has_moved_the_watermark(decider):
    """Rows that a run under way will take are no reason for another; those above its watermark are."""
    decider.decide(LANDED, 1000)
    assert decider.decide(LANDED, 1010) is None
    assert decider.decide(Look(200, landed=True), 1011) == "rows have landed"


def test_runs_are_some_seconds_apart(decider):
    """Nodes that send without a pause do not make every second a run."""
    decider.decide(LANDED, 1000)
    assert decider.decide(Look(200, landed=True), 1004) is None
    assert decider.decide(Look(200, landed=True), 1005) == "rows have landed"


def test_a_build_holds_the_next_run_but_not_for_long(decider):
    """What is loaded beside a build waits for the next one anyway; raw is never left behind for more than a minute."""
    decider.decide(LANDED, 1000)
    beside = Look(200, landed=True, building=True)
    assert decider.decide(beside, 1030) is None
    assert decider.decide(beside, 1060) == "rows have landed"
    assert decider.decide(Look(300, landed=True), 1066) == "rows have landed"


def test_a_run_that_did_not_move_the_watermark_is_asked_for_again(decider):
    """A failed extraction is tried anew a minute later."""
    decider.decide(LANDED, 1000)
    assert decider.decide(LANDED, 1059) is None
    assert "not moved" in (decider.decide(LANDED, 1060) or "")


def test_a_database_that_cannot_be_asked_makes_a_run_that_says_so(decider):
    """The watch is silent for nobody: once a minute a run fails where an operator sees it."""
    assert decider.decide(Look(None), 1000)
    assert decider.decide(Look(None), 1059) is None
    assert decider.decide(Look(None), 1060)
