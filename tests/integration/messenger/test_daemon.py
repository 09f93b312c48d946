"""The background process in all its forms: it survives its database, stops when told, and says little."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nailgun_sender.cli.node import Node
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import MessengerSettings, daemon
from nailgun_sender.messenger.daemon import Daemon
from nailgun_sender.messenger.host import Host
from nailgun_sender.runner import SenderThread
from nailgun_sender.settings import Settings
from nailgun_sender.store import Store

from tests.integration.messenger.conftest import add_actions, unsent

BIN = Path(sys.executable).parent


def wait_for(condition, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.02)


@pytest.fixture
def url(tmp_path) -> str:
    """Where the node's database is."""
    return f"sqlite:///{tmp_path}/node.sqlite"


@pytest.fixture
def node(url, store, collector) -> Node:
    """A node that looks often; its operator agreed and five actions wait."""
    add_actions(store, 5)
    Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
    messenger = MessengerSettings(collector_url=collector.url, interval=0.1, backoff_least=0.01, attempts=2)
    return Node(Settings(database_url=url), messenger, Host(), {})


@pytest.fixture
def background(node, monkeypatch) -> Iterator[SenderThread]:
    """The sender as a thread of this process, quick to look at its database again."""
    monkeypatch.setattr(daemon, "_TROUBLE_LEAST", 0.1)
    thread = SenderThread(node)
    yield thread
    assert thread.stop(20.0)


def test_a_thread_sends_again_and_again_and_stops(background, store, collector):
    """Started twice it runs once; what is recorded later is sent by a later cycle; stopped it is gone."""
    background.start()
    background.start()
    assert background.is_running
    wait_for(lambda: unsent(store) == [])
    add_actions(store, 1)
    wait_for(lambda: unsent(store) == [])
    assert background.stop()
    assert not background.is_running
    assert set(collector.stored.values()) == {1}


def test_only_changes_of_state_are_logged(background, store, collector, caplog):
    """Many cycles, one line; a collector that goes and comes back is one line each."""
    caplog.set_level(logging.INFO, "nailgun_sender.messenger")

    def lines() -> list[str]:
        return [record.message for record in caplog.records]

    background.start()
    wait_for(lambda: lines() == ["sending"])
    collector.respond = lambda seen: (404, {}, b"{}")
    add_actions(store, 1)
    wait_for(lambda: len(lines()) == 2)
    assert lines()[1] == "stopped: 404"
    time.sleep(0.5)
    collector.respond = collector.accept
    wait_for(lambda: len(lines()) == 3)
    assert lines()[2] == "sending"
    Receipts(store).refuse(who="op", via="test")
    wait_for(lambda: len(lines()) == 4)
    assert lines()[3] == "silent: refused"
    time.sleep(0.3)
    assert len(lines()) == 4


@pytest.mark.slow
def test_a_locked_database_is_waited_for(background, store, tmp_path, collector, caplog):
    """The host holds its lock longer than anybody waits: said once, then all goes on, and each record counts once."""
    caplog.set_level(logging.INFO, "nailgun_sender.messenger")
    holder = sqlite3.connect(tmp_path / "node.sqlite", isolation_level=None)
    holder.execute("begin immediate")
    background.start()
    wait_for(lambda: any("database is locked" in record.message for record in caplog.records))
    assert collector.seen == []
    holder.execute("rollback")
    holder.close()
    wait_for(lambda: unsent(store) == [])
    assert sum("locked" in record.message for record in caplog.records) == 1
    assert set(collector.stored.values()) == {1}


@pytest.mark.slow
def test_a_lock_that_is_taken_while_the_answer_comes_loses_no_mark_for_good(
    background, store, tmp_path, collector
):
    """The collector has the records and the mark cannot be written: sent again, known there, marked then."""
    holder = sqlite3.connect(tmp_path / "node.sqlite", isolation_level=None, check_same_thread=False)
    taken = []

    def respond(seen):
        if not taken:
            taken.append(holder.execute("begin immediate"))
        return collector.accept(seen)

    collector.respond = respond
    background.start()
    wait_for(lambda: bool(taken))
    time.sleep(5.5)
    holder.execute("rollback")
    holder.close()
    wait_for(lambda: unsent(store) == [])
    assert len(collector.seen) == 2
    assert set(collector.stored.values()) == {1}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 400 kB (a memory file system; needs the right to mount)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_sending_until_there_is_room(small_disk, collector, monkeypatch, caplog):
    """What cannot be noted is not sent; with room again everything goes, once."""
    caplog.set_level(logging.INFO, "nailgun_sender.messenger")
    monkeypatch.setattr(daemon, "_TROUBLE_LEAST", 0.1)
    settings = Settings(database_url=f"sqlite:///{small_disk}/node.sqlite")
    store = Store.open(settings)
    add_actions(store, 5)
    Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
    store.close()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    messenger = MessengerSettings(collector_url=collector.url, interval=0.1)
    thread = SenderThread(Node(settings, messenger, Host(), {}))
    thread.start()
    try:
        wait_for(lambda: any("trouble" in record.message for record in caplog.records))
        assert collector.seen == []
        ballast.unlink()
        wait_for(lambda: len(collector.stored) == 5)
    finally:
        assert thread.stop(20.0)
    assert set(collector.stored.values()) == {1}


def test_told_to_stop_it_ends_after_the_request_under_way(node, store, collector):
    """A backlog does not hold up the end of the process: the rest stays for the next start."""
    add_actions(store, 500)
    messenger = MessengerSettings(collector_url=collector.url, interval=0.1, batch_records=10)
    running: list[Daemon] = []

    def respond(seen):
        running[0].stop()
        return collector.accept(seen)

    collector.respond = respond
    node = Node(node.settings, messenger, Host(), {})
    running.append(Daemon(node.settings, messenger, node.cycle))
    running[0].run()
    assert len(collector.seen) == 1
    assert len(unsent(store)) == 495


def environment(url: str, collector_url: str, **more: str) -> dict[str, str]:
    """The environment of a node's process."""
    return {
        "PATH": os.environ["PATH"],
        "FUEL_STAT_SENDER_DATABASE_URL": url,
        "FUEL_STAT_SENDER_COLLECTOR_URL": collector_url,
        "FUEL_STAT_SENDER_INTERVAL": "0.2",
        **more,
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_sends_and_ends_on_a_signal(node, store, url, collector, number):
    """`fuel-stat-sender run` drains what waits and ends with 0 when it is asked to."""
    process = subprocess.Popen([BIN / "fuel-stat-sender", "run"], env=environment(url, collector.url))
    try:
        wait_for(lambda: unsent(store) == [])
        process.send_signal(number)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


HOST = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [True, False], ids=["threads", "no threads"])
def test_a_mule_sends_beside_a_real_uwsgi(node, store, url, collector, tmp_path, threads):
    """The mule drains what waits, is started again when it is killed, and ends with uWSGI."""
    import http.client

    from tests.system.sender.servers import _port

    (tmp_path / "small_host.py").write_text(HOST)
    port = _port()
    command = [str(BIN / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--wsgi", "small_host", "--master"]
    command += [
        "--processes",
        "1",
        "--die-on-term",
        "--chdir",
        str(tmp_path),
        "--virtualenv",
        str(BIN.parent),
    ]
    command += ["--mule=nailgun_sender.mule:main", *(["--enable-threads"] if threads else [])]
    log = tmp_path / "uwsgi.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment(url, collector.url), stdout=out, stderr=out)
    try:
        wait_for(lambda: unsent(store) == [])
        mule = holder(log)
        os.kill(mule, signal.SIGKILL)
        add_actions(store, 3)
        wait_for(lambda: unsent(store) == [])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = log.read_text(errors="replace")
    assert "INFO sending" in text
    assert "Traceback" not in text
    wait_for(lambda: not Path(f"/proc/{holder(log)}").exists())
    assert set(collector.stored.values()) == {1}


def holder(log: Path) -> int:
    """The mule's latest process id, as uWSGI tells it."""
    found = [
        line for line in log.read_text(errors="replace").splitlines() if "spawned uWSGI mule 1 (pid: " in line
    ]
    return int(found[-1].split("(pid: ")[1].split(")")[0])


def test_one_of_several_processes_sends_at_a_time(node, store, url, collector):
    """A `send-now` beside a sender that is at it is told so and opens no connection."""
    from nailgun_sender.messenger.lease import Lease

    lease = Lease(store)
    assert lease.take()
    done = subprocess.run(
        [BIN / "fuel-stat-sender", "send-now"],
        env=environment(url, collector.url),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"another process of this node is sending" in done.stdout
    assert collector.connections == 0
    lease.give_back()
    assert json.dumps(store.fact("sending_now")) == '""'
