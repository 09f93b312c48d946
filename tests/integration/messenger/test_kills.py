"""SIGKILL at random moments, and a large backlog, against the real collector."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
import pytest
import sqlalchemy as sa
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger.summary import summary
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.ingest.server import running_server
from tests.integration.messenger.conftest import add_actions, unsent
from tests.integration.messenger.kept import keep

# Imports once and then runs the real command in a fresh process of its own each time, so that a kill meets the work
# and not Python's start. A line in: run; a line out: the new process's number, and later how it ended.
NURSERY = """
import os, sys
from nailgun_sender.cli.main import main
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(["send-now"]))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Nursery:
    """Starts `fuel-stat-sender send-now` and kills it after a while."""

    process: subprocess.Popen[str]

    def send_and_kill(self, after: float | None) -> int:
        """Returns the exit code; negative when the kill met it."""
        to, back = self._pipes()
        to.write("run\n")
        to.flush()
        child = int(back.readline())
        if after is not None:
            time.sleep(after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return int(back.readline())

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin
        assert self.process.stdout
        return self.process.stdin, self.process.stdout


@contextlib.contextmanager
def nursery(url: str, collector_url: str, **more: str):
    """A nursery over a node's database."""
    environ = {
        "FUEL_STAT_SENDER_DATABASE_URL": url,
        "FUEL_STAT_SENDER_COLLECTOR_URL": collector_url,
        "PATH": os.environ["PATH"],
        **more,
    }
    command = [sys.executable, "-c", NURSERY]
    process = subprocess.Popen(
        command,
        env=environ,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Nursery(process)
    finally:
        process.communicate(timeout=60)


def under_way(store: Store) -> tuple[int, bool]:
    """The number of the latest request, and whether a kill met the sender within it."""
    parcels = store.tables.parcels
    with store.read() as connection:
        query = sa.select(parcels.c.id, parcels.c.outcome).order_by(parcels.c.id.desc()).limit(1)
        row = connection.execute(query).first()
    return (0, False) if row is None else (int(row.id), row.outcome == "unknown")


def words(store: Store) -> Counter[str]:
    """The records by the collector's word on them; `existed`: it had them, and the mark was lost to a kill."""
    actions = store.tables.actions
    with store.read() as connection:
        return Counter(connection.execute(sa.select(actions.c.sent_answer)).scalars())


def held(pair) -> tuple[int, int]:
    """What the collector has: records in its landings and in its ledger."""
    with psycopg.connect(pair.dsn("fuel_admin")) as connection:
        landed = connection.execute(
            "select sum(coalesce(cardinality(taken), records)) from collector.landing where kind = 'action_logs'"
        ).fetchone()
        ledger = connection.execute(
            "select sum(bit_count(bits::bit(64))) from collector.ledger_bitmap"
        ).fetchone()
    assert landed
    assert ledger
    return int(landed[0]), int(ledger[0])


def kill_often(pair, folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Record, send, kill; at the end one quiet cycle. Asserts that nothing is lost or doubled."""
    dice = random.Random(seed)
    url = f"sqlite:///{folder}/node.sqlite"
    store = Store.open(Settings(database_url=url))
    Receipts(store).agree(["actions"], who="op", via="test")
    made = met = 0
    within: set[int] = set()
    more = {"FUEL_STAT_SENDER_BATCH_RECORDS": "5", "FUEL_STAT_SENDER_BACKOFF_LEAST": "0.05"}
    with (
        running_server(pair.dsn("fuel_ingest"), folder) as collector,
        nursery(url, collector.url, **more) as ward,
    ):
        while met < kills:
            # The host goes on recording, whatever state a killed sender has left its database in.
            add_actions(store, 30)
            made += 30
            met += ward.send_and_kill(dice.uniform(0.0, 0.4)) < 0
            number, unknown = under_way(store)
            within |= {number} if unknown else set()
        assert ward.send_and_kill(None) == 0
    answers = words(store)
    assert unsent(store) == []
    assert held(pair) == (made, made)
    requests = under_way(store)[0]
    store.close()
    return {
        "kills that met the sender": met,
        "records made meanwhile": made,
        "requests": requests,
        "killed within a request": len(within),
        "records that the collector had and the node did not know of": answers["existed"],
        "records landed, in the ledger": f"{held(pair)[0]}, {held(pair)[1]}",
        "records lost, counted twice": "0, 0",
    }


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_or_doubled(tmp_path, collector_pair):
    """The sending process is killed again and again while it drains; the collector has each record once."""
    kill_often(collector_pair, tmp_path, 8, random.randrange(10**6))


@pytest.mark.evidence
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_and_double_nothing(tmp_path, collector_pair):
    """The same 200 times; some kills must have met the two moments that matter."""
    seed = random.randrange(10**6)
    found = kill_often(collector_pair, tmp_path, 200, seed)
    assert int(str(found["killed within a request"])) > 10
    assert int(str(found["records that the collector had and the node did not know of"])) > 0
    keep(
        "sender-kills",
        "The sender is killed 200 times and loses nothing",
        'make evidence PYTEST="tests/integration/messenger/test_kills.py -k two_hundred"',
        [*found.items(), ("seed", seed)],
        "`fuel-stat-sender send-now` against the real collector under gunicorn, SIGKILL after 0 to 0.4 s at random,"
        " while the host goes on recording. Landed and ledger are counted in the collector's database.",
    )


@pytest.mark.evidence
@pytest.mark.timeout(1800)
def test_a_backlog_of_a_hundred_thousand_drains_in_one_cycle(tmp_path, collector_pair):
    """One cycle within its default deadline, at the pace of the collector; memory does not grow with the backlog."""
    url = f"sqlite:///{tmp_path}/node.sqlite"
    store = Store.open(Settings(database_url=url))
    Receipts(store).agree(["actions"], who="op", via="test")
    for _ in range(10):
        add_actions(store, 10_000)
    command = [str(Path(sys.executable).parent / "fuel-stat-sender"), "send-now"]
    with running_server(collector_pair.dsn("fuel_ingest"), tmp_path) as collector:
        environ = {
            "FUEL_STAT_SENDER_DATABASE_URL": url,
            "FUEL_STAT_SENDER_COLLECTOR_URL": collector.url,
            "PATH": os.environ["PATH"],
        }
        began = time.monotonic()
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert unsent(store) == []
    assert held(collector_pair) == (100_000, 100_000)
    parcels = store.tables.parcels
    with store.read() as connection:
        rows = connection.execute(sa.select(parcels.c.started_at, parcels.c.ended_at)).all()
    waited = sum((row.ended_at - row.started_at).total_seconds() for row in rows)
    store.close()
    keep(
        "sender-backlog",
        "A backlog of 100,000 records drains in one cycle",
        'make evidence PYTEST="tests/integration/messenger/test_kills.py -k backlog"',
        [
            ("records", "100,000 in 200 requests of 500, gzip"),
            ("seconds", f"{seconds:.0f} (deadline of a cycle: 900)"),
            ("of these waiting for the collector", f"{waited:.0f}"),
            ("records a second", f"{100_000 / seconds:.0f}"),
            ("largest child process of this test (RSS)", f"{used.ru_maxrss / 1024:.0f} MB"),
            ("records landed, in the ledger", "100000, 100000"),
        ],
        "The rest of the time is the node's own: reading, JSON, gzip, and a commit that marks each batch.",
    )


def test_the_summary_of_a_killed_request_is_honest(store):
    """A request that was under way at the kill is shown as unknown, neither as sent nor as an error."""
    from nailgun_sender.messenger import Cycle, MessengerSettings
    from nailgun_sender.messenger.history import History

    add_actions(store, 1)
    Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
    sender = Cycle(store, MessengerSettings(), environ={})
    (parcel,) = sender.parcels(sender.permission())
    History(store).begin(parcel, "http://127.0.0.1/")
    found = summary(store, sender, MessengerSettings())
    assert (found["last_request"]["outcome"], found["last_error"]) == ("unknown", None)
