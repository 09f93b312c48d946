"""Consent: what is asked, what the text names, what a later text adds, and what was recorded before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from nailgun_sender.cli.main import main
from nailgun_sender.consent import LEVELS, Receipts, agreed, receipts, texts
from nailgun_sender.consent import agreement as cutting
from nailgun_sender.consent.wording import Field
from nailgun_sender.messenger import Cycle, MessengerSettings
from nailgun_sender.page import SettingsPage
from nailgun_sender.providers import ClusterWorkload
from nailgun_sender.sanitise import structure as sanitised
from nailgun_sender.settings import Settings
from nailgun_sender.workloads import record

from tests.integration.messenger.conftest import add_actions
from tests.integration.messenger.test_page import Browser


def waiting(store, **options) -> dict[str, list[int]]:
    """The rows that a cycle would send, by kind."""
    cycle = Cycle(store, MessengerSettings(**options), environ={})
    found: dict[str, list[int]] = {}
    for parcel in cycle.parcels(cycle.permission()):
        found.setdefault(parcel.kind, []).extend(item.row_id for item in parcel.items)
    return found


def look(store, *types: str) -> None:
    """A look at one cluster's workloads, as a provider gives it."""
    record(store, [ClusterWorkload(1, each, [{"id": "a"}], {}) for each in types])


def test_every_field_says_what_it_is_what_for_and_how_it_looks():
    """No field of any level is without a meaning, a purpose and an example, and none is named twice."""
    for level in LEVELS:
        assert level.title
        assert level.purpose
        assert all(each.meaning and each.purpose and each.example for each in level.fields)
        paths = [each.path for each in level.fields]
        assert len(paths) == len(set(paths))


def test_the_text_names_everything_that_real_nodes_would_send(recorded):
    """Of real nodes' structures the text cuts away nothing that the sanitiser lets through."""
    found = 0
    for path in sorted((recorded / "nailgun").glob("*.json")):
        body = json.loads(path.read_text())["request"]["body"] or "{}"
        given = json.loads(body).get("installation_structure")
        if given:
            kept = sanitised.structure(given, contact=True)
            assert agreed(kept, ("configuration", "contact"), texts.TEXT_VERSION) == kept
            found += 1
    assert found


def test_what_no_text_names_is_cut_away():
    """A field that is in no level stays, wherever it stands; an empty agreement sends nothing at all."""
    document = {
        "clusters_num": 1,
        "new": 1,
        "clusters": [{"id": 1, "mode": "ha", "new": {"mode": 1}}],
        "mode": "x",
    }
    kept = agreed(document, ("configuration",), 1)
    assert kept == {"clusters_num": 1, "clusters": [{"id": 1, "mode": "ha"}]}
    assert agreed({"clusters_num": 1}, ("configuration",), 0) == {}


@pytest.fixture
def later_text(monkeypatch):
    """A release that wants two more fields, one of them below a field that was agreed to."""
    more = (
        Field("clusters[].attributes.gpu", "Whether there are GPUs", "Drivers", "true", since=2),
        Field("uptime", "Days since the start", "Stability", "12", since=2),
    )
    levels = tuple(
        replace(each, fields=each.fields + more) if each.name == "configuration" else each for each in LEVELS
    )
    for module in (texts, receipts):
        monkeypatch.setattr(module, "TEXT_VERSION", 2)
    monkeypatch.setattr(texts, "LEVELS", levels)
    cutting._tree.cache_clear()
    yield
    cutting._tree.cache_clear()


DOCUMENT = {"uptime": 3, "clusters": [{"id": 1, "attributes": {"gpu": True, "libvirt_type": "kvm"}}]}
OLD = {"clusters": [{"id": 1, "attributes": {"libvirt_type": "kvm"}}]}


def test_a_release_that_wants_more_asks_again_and_sends_no_more_until_then(
    store, tmp_path, monkeypatch, capsys, request
):
    """New fields stay until the operator has seen them as a diff, on the page and the command line, and agreed."""
    Receipts(store).agree(["configuration"], who="ada", via="test")
    assert not Receipts(store).current().must_ask_again
    request.getfixturevalue("later_text")
    assert Receipts(store).current().must_ask_again
    assert agreed(DOCUMENT, ("configuration",), Receipts(store).current().text_version) == OLD
    url = f"sqlite:///{tmp_path}/node.sqlite"
    page = Browser(
        SettingsPage(lambda environ: "ada", Settings(database_url=url), MessengerSettings(), environ={})
    )
    shown = page.ask("GET", "/")
    assert "would like to send more" in shown
    asked = shown[shown.index("would like to send more") : shown.index("<form")]
    assert "Whether there are GPUs" in asked
    assert "Days since the start" in asked
    assert "libvirt_type" not in asked
    monkeypatch.setenv("FUEL_STAT_SENDER_DATABASE_URL", url)
    assert main(["consent"]) == 0
    assert "+ uptime: Days since the start. For: Stability (e.g. 12)" in capsys.readouterr().out
    assert main(["consent", "on"]) == 0
    decision = Receipts(store).current()
    assert (decision.levels, decision.text_version, decision.must_ask_again) == (("configuration",), 2, False)
    assert agreed(DOCUMENT, ("configuration",), 2) == DOCUMENT


def test_a_level_that_is_added_later_does_not_bring_its_past(store):
    """Agreeing to workloads a month after actions sends the workloads from then on; unsent actions are kept."""
    look(store, "vm")
    Receipts(store).agree(["actions"], who="op", via="test")
    add_actions(store, 2)
    Receipts(store).agree(["actions", "workloads"], who="op", via="test")
    look(store, "vm", "volume")
    assert waiting(store) == {"action_logs": [1, 2], "oswl_stats": [2]}


def test_what_was_recorded_while_it_was_off_stays(store):
    """Off and on again: what was recorded in between is not sent without the tick, and is with it."""
    Receipts(store).agree(["actions"], who="op", via="test")
    add_actions(store, 1)
    Receipts(store).refuse(who="op", via="test")
    add_actions(store, 1)
    Receipts(store).agree(["actions"], who="op", via="test")
    add_actions(store, 1)
    assert waiting(store) == {"action_logs": [3]}
    Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
    assert waiting(store) == {"action_logs": [1, 2, 3]}


@pytest.mark.parametrize("off", [timedelta(days=365), timedelta(days=-365)])
def test_a_clock_that_was_a_year_off_at_the_agreement_holds_nothing_back(store, monkeypatch, off):
    """What counts is what was recorded after the decision, not which time the clock showed at either moment."""
    add_actions(store, 1)
    real = receipts.now
    monkeypatch.setattr(receipts, "now", lambda: real() + off)
    Receipts(store).agree(["actions"], who="op", via="test")
    add_actions(store, 2)
    assert waiting(store) == {"action_logs": [2, 3]}
