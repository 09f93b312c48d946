"""The operator's commands on the node, and a whole life over the real collector."""

from __future__ import annotations

import json

import pytest
from nailgun_sender.cli.main import main
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.messenger.conftest import add_actions, unsent


@pytest.fixture
def node(tmp_path, monkeypatch, collector):
    """A node whose settings are in the environment; the scripted collector is its collector."""
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.setenv("FUEL_STAT_SENDER_DATABASE_URL", f"sqlite:///{tmp_path}/node.sqlite")
    monkeypatch.setenv("FUEL_STAT_SENDER_COLLECTOR_URL", collector.url)
    opened = Store.open(Settings.from_env())
    yield opened
    opened.close()


def test_consent_preview_and_sending(node, collector, capsys):
    """Nothing before consent; then the previewed digest is the one that arrives, and status says so."""
    add_actions(node, 2)
    assert main(["send-now"]) == 1
    assert collector.connections == 0
    assert main(["consent", "on", "--level", "actions", "--include-past", "--who", "ada"]) == 0
    capsys.readouterr()
    assert main(["preview", "--digests"]) == 0
    digest = capsys.readouterr().out.split("sha256 ")[1].split()[0]
    assert main(["send-now"]) == 0
    assert main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert status["last_request"]["digest"] == digest
    assert status["waiting"]["action_logs"] == 0


def test_a_bundle_carries_what_would_be_sent(node, tmp_path, capsys):
    """Export writes the requests; only when told that it arrived are its records sent."""
    add_actions(node, 3)
    bundle = tmp_path / "node.bundle"
    assert main(["export", str(bundle)]) == 2
    assert "no_consent" in capsys.readouterr().err
    main(["consent", "on", "--include-past"])
    assert main(["export", str(bundle)]) == 0
    assert len(unsent(node)) == 3
    assert main(["export", str(bundle), "--arrived"]) == 0
    assert unsent(node) == []
    (tmp_path / "other").write_text("x")
    assert main(["export", str(tmp_path / "other"), "--arrived"]) == 2


def test_doctor_names_the_trouble(node, collector, monkeypatch, capsys):
    """A dead collector is found and the advice says what to look at; without consent nobody is connected to."""
    assert main(["doctor"]) == 0
    assert collector.connections == 0
    main(["consent", "on"])
    monkeypatch.setenv("FUEL_STAT_SENDER_COLLECTOR_URL", "http://127.0.0.1:1")
    assert main(["doctor"]) == 1
    assert "Check collector_url" in capsys.readouterr().out


def test_a_wrong_setting_is_one_line(monkeypatch, capsys):
    """An operator's mistake is a sentence with a code on stderr and exit code 2."""
    monkeypatch.setenv("FUEL_STAT_SENDER_COLLECTOR_URL", "ftp://x")
    assert main(["status"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_erase_deletes_after_the_word(node, capsys):
    """With --yes all that was recorded is gone."""
    add_actions(node, 2)
    assert main(["erase", "--yes"]) == 0
    assert unsent(node) == []


def test_the_preview_before_a_decision_shows_what_agreeing_would_send(node, collector, capsys):
    """Nobody agreed: the bytes are shown with the reason why they stay, and nothing is connected."""
    add_actions(node, 2)
    assert main(["preview"]) == 0
    told = capsys.readouterr()
    assert "Nobody has decided yet: nothing is sent. If you agreed, this would be:" in told.err
    assert json.loads(told.out.splitlines()[1])["action_logs"][1]["external_id"] == 2
    assert collector.connections == 0


def test_status_in_words_says_what_waits_and_what_went_wrong(node, collector, capsys):
    """Consent, queue, refused records and the last error, a line each."""
    add_actions(node, 3)
    main(["consent", "on", "--include-past"])

    def respond(seen):
        if any(record["external_id"] == 2 for record in seen.records):
            return 400, {}, b'{"status":"error","code":"schema"}'
        return collector.accept(seen)

    collector.respond = respond
    main(["send-now"])
    capsys.readouterr()
    assert main(["status"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["consent"].startswith("on  actions configuration workloads")
    assert lines["sending"].startswith("yes")
    assert lines["waiting"] == "action_logs 0  oswl_stats 0"
    assert lines["refused"] == "action_logs 1"
    assert "400 schema" in lines["error"]


def test_consent_is_shown_explained_and_withdrawn(node, capsys):
    """The text names purposes and examples; off is kept with who, and offers erasure where something was sent."""
    assert main(["consent", "text"]) == 0
    assert "For: Counting nodes, and erasing what is yours (e.g. 9b2f0c5e-…)" in capsys.readouterr().out
    add_actions(node, 1)
    main(["consent", "on", "--include-past", "--who", "ada"])
    main(["send-now"])
    capsys.readouterr()
    assert main(["consent", "off", "--who", "bob"]) == 0
    assert "fuel-stat-sender erase" in capsys.readouterr().out
    assert main(["consent"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("off since ")
    assert "by bob" in shown


def test_erasing_asks_first(node, monkeypatch, capsys):
    """Without a yes nothing is deleted; after something was sent the node's number is told for the collector."""
    add_actions(node, 1)
    main(["consent", "on", "--include-past"])
    main(["send-now"])
    add_actions(node, 1)
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert main(["erase"]) == 1
    assert unsent(node) == [2]
    monkeypatch.setattr("builtins.input", lambda question: "y")
    capsys.readouterr()
    assert main(["erase"]) == 0
    told = capsys.readouterr().out
    assert "action_logs 2" in told
    assert "erased by its operator, who needs this uid: " in told
    assert unsent(node) == []
