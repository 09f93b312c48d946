"""A node with a key against the real collector, its clock a year off."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings, cycle, signing
from nailgun_sender.messenger.enrolment import enrol
from nailgun_sender.messenger.history import History

from tests.integration.ingest.server import running_server
from tests.integration.messenger.conftest import add_actions, unsent

YEAR = 365 * 86400


@pytest.mark.slow
def test_a_clock_that_is_a_year_off_neither_stops_nor_spoils_signed_reports(
    store, tmp_path, collector_pair, monkeypatch
):
    """Ahead, then behind: each cycle signs again with the collector's time; all land, trusted, each once."""
    with running_server(collector_pair.dsn("fuel_ingest"), tmp_path) as collector:
        settings = MessengerSettings(
            collector_url=collector.url,
            key_file=str(tmp_path / "node.key"),
            batch_records=5,
            node_uid="off-node",
        )
        assert enrol(store, settings, "off-node") == "active"
        Receipts(store).agree(["actions"], who="op", via="test")
        for offset in (YEAR, -YEAR):
            wrong = SimpleNamespace(time=lambda by=offset: time.time() + by, monotonic=time.monotonic)
            monkeypatch.setattr(signing, "time", wrong)
            monkeypatch.setattr(cycle, "time", wrong)
            add_actions(store, 10, age=timedelta(seconds=-offset))
            report = Cycle(store, settings, environ={}).run()
            assert report.complete, report.stopped
            assert unsent(store) == []
            # One refusal tells the time, then the cycle keeps it.
            assert [row["outcome"] for row in History(store).latest(3)] == [
                "delivered",
                "delivered",
                "resign",
            ]
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as connection:
        landed = connection.execute("select sum(records), min(tier) from collector.landing").fetchone()
        set_aside = connection.execute("select count(*) from collector.quarantine").fetchone()
    assert landed == (20, 1)
    assert set_aside == (0,)
