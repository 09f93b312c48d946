"""The operator's commands on the node, and a whole life over the real collector."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from nailgun_sender.cli.main import main
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.ingest.server import running_server
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


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_or_doubled(tmp_path, collector_pair):
    """The background process is killed again and again while it drains; the collector has each record once."""
    url = f"sqlite:///{tmp_path}/node.sqlite"
    store = Store.open(Settings(database_url=url))
    add_actions(store, 2000)
    with running_server(collector_pair.dsn("fuel_ingest"), tmp_path) as collector:
        environ = {
            "FUEL_STAT_SENDER_DATABASE_URL": url,
            "FUEL_STAT_SENDER_COLLECTOR_URL": collector.url,
            "FUEL_STAT_SENDER_BATCH_RECORDS": "50",
            "PATH": "/usr/bin",
        }
        command = [sys.executable, "-m", "nailgun_sender.cli.main"]
        subprocess.run(
            [*command, "consent", "on", "--include-past"], env=environ, check=True, capture_output=True
        )
        for number in range(20):
            process = subprocess.Popen([*command, "send-now"], env=environ, stdout=subprocess.DEVNULL)
            try:
                process.wait(0.6 + 0.15 * number)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            if not unsent(store):
                break
            time.sleep(0.05)
        subprocess.run([*command, "send-now"], env=environ, check=True, capture_output=True)
    assert unsent(store) == []
    store.close()
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as connection:
        landed = connection.execute(
            "select sum(coalesce(cardinality(taken), records)) from collector.landing where kind = 'action_logs'"
        ).fetchone()
        ledger = connection.execute(
            "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
        ).fetchone()
    assert (landed, ledger) == ((2000,), (2000,))
