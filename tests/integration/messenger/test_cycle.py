"""A cycle over a real socket: what is sent, what is marked, and what each answer leads to."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings
from nailgun_sender.providers import ClusterWorkload

from tests.integration.messenger.conftest import add_actions, unsent

OK = {"status": "ok"}
EMPTY = {"clusters_num": 0, "allocated_nodes_num": 0, "unallocated_nodes_num": 1, "clusters": []}


def cycle(store, collector, environ=None, structure=None, **options) -> Cycle:
    """A cycle with short waits."""
    values = {"backoff_least": 0.01, "backoff_most": 0.05, "attempts": 3, "batch_records": 10, **options}
    settings = MessengerSettings(collector_url=collector.url, **values)
    provider = Described(structure) if structure else None
    return Cycle(store, settings, provider, environ=environ or {})


class Described:
    """A host that describes itself."""

    def __init__(self, document) -> None:
        self._document = document

    def structure(self):
        """The document as it is."""
        return self._document


@pytest.fixture
def agreed(store):
    """The operator agreed to everything, past included."""
    levels = ("actions", "configuration", "workloads", "contact")
    Receipts(store).agree(levels, who="op", via="test", include_past=True)


@pytest.mark.parametrize("how", ["undecided", "refused", "do_not_track", "kill switch"])
def test_without_consent_not_one_connection_is_opened(store, collector, how):
    """Undecided, refused or switched off by the environment: the collector sees nobody at all."""
    add_actions(store, 3)
    environ = {}
    if how == "refused":
        Receipts(store).refuse(who="op", via="test")
    elif how != "undecided":
        Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
        environ = {"DO_NOT_TRACK" if how == "do_not_track" else "FUEL_STAT_SENDER_DISABLED": "1"}
    report = cycle(store, collector, environ).run()
    assert report.silent
    assert collector.connections == 0
    assert len(unsent(store)) == 3


def test_fresh_records_are_sent_once_in_batches(store, collector, agreed):
    """25 records make three requests; the second cycle sends nothing."""
    add_actions(store, 25)
    assert cycle(store, collector).run().sent["action_logs"] == 25
    assert [len(seen.records) for seen in collector.seen] == [10, 10, 5]
    assert unsent(store) == []
    assert cycle(store, collector).run().requests == 0


def test_unfinished_tasks_wait(store, collector, agreed):
    """A record without an end is not sent yet."""
    add_actions(store, 1, ended=False)
    assert cycle(store, collector).run().requests == 0
    assert unsent(store) == [1]


def test_what_was_recorded_before_consent_stays(store, collector):
    """Without the tick for the past only what came after the decision leaves the node."""
    add_actions(store, 2, age=timedelta(hours=1))
    Receipts(store).agree(["actions"], who="op", via="test")
    add_actions(store, 1)
    assert cycle(store, collector).run().sent["action_logs"] == 1
    assert unsent(store) == [1, 2]


def test_the_preview_is_what_is_sent(store, collector, agreed):
    """The digests of the previewed bytes are those of the bytes that arrive, in the same order."""
    add_actions(store, 12)
    sender = cycle(store, collector, structure=EMPTY)
    preview = [parcel.digest for parcel in sender.parcels(sender.permission())]
    sender.run()
    assert [hashlib.sha256(seen.body).hexdigest() for seen in collector.seen] == preview
    assert len(preview) == 3


def test_a_lost_answer_counts_nothing_twice(store, collector, agreed):
    """The collector stored the batch but its answer was garbage: sent again, existed, stored once."""
    add_actions(store, 5)
    answers = iter([(200, {}, b"<html>portal</html>")])

    def respond(seen):
        real = collector.accept(seen)
        return next(answers, real)

    collector.respond = respond
    assert cycle(store, collector).run().sent["action_logs"] == 5
    assert set(collector.stored.values()) == {1}
    assert len(collector.seen) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_struggling_collector_is_asked_again(store, collector, agreed, status):
    """The answers that mean later are followed by another try, and everything arrives."""
    add_actions(store, 5)
    answers = iter([(status, {"Retry-After": "0"}, b'{"status":"error"}')])
    collector.respond = lambda seen: next(answers, None) or collector.accept(seen)
    report = cycle(store, collector).run()
    assert report.complete
    assert unsent(store) == []


def test_a_dead_collector_ends_the_cycle_and_loses_nothing(store, collector, agreed):
    """After the allowed tries the cycle stops and says why; the records stay."""
    add_actions(store, 5)
    sender = cycle(store, collector)
    collector.close()
    report = sender.run()
    assert "unreachable" in report.stopped
    assert len(unsent(store)) == 5


def test_one_bad_record_is_found_and_parked(store, collector, agreed):
    """A collector that refuses a whole batch with 400: halving finds the record; the others arrive."""
    add_actions(store, 8)

    def respond(seen):
        if any(record["external_id"] == 6 for record in seen.records):
            return 400, {}, b'{"status":"error","code":"schema"}'
        return collector.accept(seen)

    collector.respond = respond
    report = cycle(store, collector).run()
    assert (report.sent["action_logs"], report.parked["action_logs"]) == (7, 1)
    assert unsent(store) == [6]
    collector.seen.clear()
    assert cycle(store, collector).run().requests == 0


def test_per_record_verdicts_are_obeyed(store, collector, agreed):
    """Failed is parked, skipped and unanswered stay, added and existed are done."""
    add_actions(store, 5)
    words = {1: "added", 2: "existed", 3: "failed", 4: "skipped"}
    listed = [{"external_id": number, "status": word} for number, word in words.items()]
    collector.respond = lambda seen: (200, {}, json.dumps({**OK, "action_logs": listed}).encode())
    report = cycle(store, collector).run()
    assert (report.sent["action_logs"], report.parked["action_logs"]) == (2, 1)
    assert unsent(store) == [3, 4, 5]
    fresh = cycle(store, collector)
    waiting = [item.row_id for parcel in fresh.parcels(fresh.permission()) for item in parcel.items]
    assert waiting == [4, 5]


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_a_wrong_address_stops_the_cycle_without_parking(store, collector, agreed, status):
    """Nothing is followed, nothing is given up: the operator is told."""
    add_actions(store, 5)
    collector.respond = lambda seen: (status, {"Location": "http://127.0.0.1:1/"}, b"{}")
    report = cycle(store, collector).run()
    assert str(status) in report.stopped
    assert len(collector.seen) == 1
    assert len(unsent(store)) == 5


def test_a_change_made_while_its_older_self_was_on_the_wire_is_sent(store, collector, agreed):
    """The mark names the version that was sent; the newer version stays to be sent."""
    add_actions(store, 1)
    actions = store.tables.actions

    def respond(seen):
        with store.write() as connection:
            connection.execute(actions.update().values(version=actions.c.version + 1))
        return collector.accept(seen)

    collector.respond = respond
    cycle(store, collector).run()
    assert unsent(store) == [1]


def test_an_unchanged_structure_is_sent_once_and_contact_only_when_agreed(store, collector):
    """The structure goes when it changed; the name stays on the node without the contact level."""
    structure = {
        **EMPTY,
        "secret_extra": "x",
        "user_information": {"contact_info_provided": True, "name": "Ada", "email": "ada@example.com"},
    }
    Receipts(store).agree(["configuration"], who="op", via="test")
    for _ in range(2):
        cycle(store, collector, structure=structure).run()
    assert len(collector.seen) == 1
    assert b"Ada" not in collector.seen[0].body
    assert b"secret_extra" not in collector.seen[0].body
    Receipts(store).agree(["configuration", "contact"], who="op", via="test")
    cycle(store, collector, structure=structure).run()
    assert b"Ada" in collector.seen[1].body


def test_withdrawn_consent_stops_within_the_cycle(store, collector, agreed):
    """Switching off between two requests: the second is never sent."""
    add_actions(store, 25)

    def respond(seen):
        Receipts(store).refuse(who="op", via="test")
        return collector.accept(seen)

    collector.respond = respond
    report = cycle(store, collector).run()
    assert report.stopped == "consent was withdrawn"
    assert len(collector.seen) == 1


class Cloud:
    """A host with one running machine, which counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def workloads(self):
        """One machine."""
        self.looks += 1
        return [ClusterWorkload(1, "vm", [{"id": "a", "status": "ACTIVE"}], {})]


def test_a_preview_with_workloads_is_what_is_sent_and_looks_only_where_it_may(store, collector):
    """The preview looks as a cycle does, so their bytes agree; before the decision the cloud is not asked."""
    cloud = Cloud()
    settings = MessengerSettings(collector_url=collector.url)
    sender = Cycle(store, settings, None, cloud, environ={})
    sender.look()
    assert (cloud.looks, list(sender.parcels(sender.would_send()))) == (0, [])
    Receipts(store).agree(["workloads"], who="op", via="test")
    sender.look()
    (previewed,) = sender.parcels(sender.would_send())
    sender.run()
    assert cloud.looks == 2
    assert [hashlib.sha256(seen.body).hexdigest() for seen in collector.seen] == [previewed.digest]
