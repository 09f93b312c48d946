"""When and how much is sent: batches, waits, the deadline of a cycle, and the hour's random offset."""

from __future__ import annotations

import json
from email.utils import formatdate
from itertools import pairwise
from time import time

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings, daemon
from nailgun_sender.messenger.daemon import Daemon
from nailgun_sender.settings import Settings

from tests.integration.messenger.conftest import add_actions, unsent


@pytest.fixture(autouse=True)
def agreed(store):
    """The operator agreed."""
    Receipts(store).agree(["actions"], who="op", via="test")


def waits(store, collector, **options) -> tuple[list[float], str]:
    """The waits of a cycle in seconds, not slept, and why it stopped."""
    slept: list[float] = []
    settings = MessengerSettings(collector_url=collector.url, **options)
    report = Cycle(store, settings, environ={}, sleep=slept.append).run()
    return slept, report.stopped


def test_waits_double_with_jitter_up_to_a_limit(store, collector):
    """Each wait lies between half and the whole of 1, 2, 4, 8, 10, 10 seconds; two nodes do not wait alike."""
    add_actions(store, 1)
    collector.respond = lambda seen: (503, {}, b"{}")
    options = {"attempts": 7, "backoff_least": 1.0, "backoff_most": 10.0}
    first, stopped = waits(store, collector, **options)
    assert stopped == "503"
    for wait, whole in zip(first, [1, 2, 4, 8, 10, 10], strict=True):
        assert whole / 2 <= wait <= whole
    assert waits(store, collector, **options)[0] != first


@pytest.mark.parametrize("how", ["seconds", "date", "nonsense", "too long"])
def test_the_collectors_wish_is_honoured(store, collector, how):
    """Retry-After as a number or a date is the least wait; what cannot be read is none; the longest wait bounds it."""
    add_actions(store, 1)
    wish = {
        "seconds": "40",
        "date": formatdate(time() + 41, usegmt=True),
        "nonsense": "soon",
        "too long": "99999",
    }
    collector.respond = lambda seen: (429, {"Retry-After": wish[how]}, b"{}")
    (wait,), _ = waits(store, collector, attempts=2, backoff_least=1.0, backoff_most=60.0)
    bounds = {"seconds": (40, 40), "date": (38, 41), "nonsense": (0.5, 1), "too long": (60, 60)}
    least, most = bounds[how]
    assert least <= wait <= most


def test_a_cycle_ends_at_its_deadline(store, collector):
    """A wait beyond the deadline is not begun, and a backlog that takes too long is left for the next cycle."""
    add_actions(store, 30)
    collector.respond = lambda seen: (503, {"Retry-After": "20"}, b"{}")
    slept, stopped = waits(store, collector, deadline=10.0)
    assert (slept, stopped) == ([], "out of time: 503")
    collector.respond = collector.accept
    _, stopped = waits(store, collector, deadline=0.0, batch_records=10)
    assert stopped == "out of time"
    assert len(unsent(store)) == 20


def test_batches_are_bounded_in_bytes(store, collector):
    """No request has more JSON than set, unless one record alone is larger; no record is split or left out."""
    add_actions(store, 40)
    with store.write() as connection:
        actions = store.tables.actions
        big = {"request_data": {"http_method": "PUT"}, "response_data": {"data": {"message": "x" * 5000}}}
        connection.execute(actions.update().where(actions.c.id == 20).values(additional_info=big))
    waits(store, collector, batch_bytes=3000)
    sizes = {len(seen.body): [each["external_id"] for each in seen.records] for seen in collector.seen}
    assert all(size <= 3300 or numbers == [20] for size, numbers in sizes.items())
    assert sorted(
        number for seen in collector.seen for number in (each["external_id"] for each in seen.records)
    ) == [*range(1, 41)]
    assert len(collector.seen) > 4


def test_what_is_sent_is_gzip_unless_switched_off(store, collector):
    """Compressed by default, and much smaller; the JSON inside is the same."""
    add_actions(store, 50)
    settings = MessengerSettings(collector_url=collector.url)
    Cycle(store, settings, environ={}).run()
    (seen,) = collector.seen
    assert seen.headers["content-encoding"] == "gzip"
    assert len(seen.wire) < len(seen.body) / 5
    assert len(json.loads(seen.body)["action_logs"]) == 50


def test_a_fleet_does_not_come_at_once(monkeypatch):
    """The first cycle is at a random time within the hour, each later one about an hour after, never exactly."""
    drawn: list[float] = []
    asked: list[float] = []
    sender = Daemon(Settings(), MessengerSettings(), lambda *parts: None)  # type: ignore[arg-type, return-value]

    class Clock:
        """A stop signal that is never waited for, and comes after a hundred waits."""

        def wait(self, seconds: float) -> bool:
            drawn.append(seconds)
            return len(drawn) > 100

        def is_set(self) -> bool:
            return False

    sender._stop = Clock()  # type: ignore[assignment]
    monkeypatch.setattr(sender, "_cycle", lambda: daemon.Report(silent="undecided"))
    for _ in range(100):
        drawn.clear()
        sender.run()
        asked.append(drawn[0])
        assert all(0.9 * 3600 <= each <= 1.1 * 3600 for each in drawn[1:])
        assert len(set(drawn)) > 95
    ordered = sorted(asked)
    assert 0 <= ordered[0] < 900
    assert 2700 < ordered[-1] <= 3600
    assert max(later - earlier for earlier, later in pairwise(ordered)) < 1500
