"""Under real servers, a host with the recorder answers exactly as without it, whatever happens to the recorder."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.system.sender.disks import Disk, Limited, Mounted
from tests.system.sender.servers import MODIFYING_IN_OWN_TESTS, SERVERS, children, hosting, workers

pytestmark = pytest.mark.slow
_transcripts: dict[str, list[tuple[object, ...]]] = {}


def bare(server: str, folder: Path) -> list[tuple[object, ...]]:
    """The host's own tests without the recorder, once a server."""
    if server not in _transcripts:
        with hosting(server, folder, None) as host:
            _transcripts[server] = host.own_tests()
    return _transcripts[server]


def recorded(database: Path, query: str = "select * from action_logs order by id") -> list[sqlite3.Row]:
    """Rows of the recorder's database."""
    connection = sqlite3.connect(database, timeout=5)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def wait_for(condition: object, seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.05)


def counters(database: Path) -> dict[str, int]:
    """The recorder's counters."""
    return {row["name"]: row["value"] for row in recorded(database, "select * from fuel_stat_counters")}


@pytest.mark.parametrize("server", SERVERS)
def test_answers_are_the_same_and_every_modifying_request_is_recorded(server: str, tmp_path: Path) -> None:
    """Lists, tuples, generators, file wrappers, write() and exceptions pass unchanged; nine requests, nine rows."""
    database = tmp_path / "sender.sqlite"
    with hosting(server, tmp_path, f"sqlite:///{database}") as host:
        assert host.own_tests() == bare(server, tmp_path)
        wait_for(lambda: len(recorded(database)) == MODIFYING_IN_OWN_TESTS)
    rows = recorded(database)
    assert [row["action_name"] for row in rows] == [
        "cluster_collection",
        "cluster_instance",
        "deploy_changes",
        "attributes",
        "releases_collection",
        "master_node_settings",
        "tasks_collection",
        "cluster_instance",
        "other",
    ]
    text = "".join(str(tuple(row)) for row in rows)
    assert not [secret for secret in ("hunter2", "s3cr3t", "abc123") if secret in text]
    assert "400 Bad Request" in rows[3]["additional_info"]
    assert "RuntimeError" in rows[6]["additional_info"]
    # stopped in good order: the session is closed and nothing is missing
    (session,) = recorded(database, "select * from fuel_stat_sessions where accepted > 0")
    assert (session["accepted"], session["written"], session["lost"]) == (9, 9, None)
    assert session["closed_at"] is not None


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("gunicorn", "postgresql+psycopg2://nobody@127.0.0.1:1/none"),
        ("uwsgi", "sqlite:////dev/null/folder/sender.sqlite"),
    ],
)
def test_a_broken_database_is_not_noticed(server: str, url: str, tmp_path: Path) -> None:
    """With no database at all the host's tests pass as ever, quickly; the log says once that recording waits."""
    with hosting(server, tmp_path, url, queue_size="20") as host:
        assert host.own_tests() == bare(server, tmp_path)
        assert max(host.timed(100)) < 1.0
        assert host.own_tests() == bare(server, tmp_path)
    log = host.log.read_text(errors="replace")
    assert log.count("recording waits") == 1
    assert "Traceback" not in log.replace("Error handling request", "") or "own mistake" in log


@pytest.fixture
def disk(server: str, tmp_path: Path) -> Iterator[Disk]:
    """A disk to be filled: a real one under gunicorn where mounting is allowed, else files that cannot grow."""
    mounted = Mounted(tmp_path / "disk")
    if server == "gunicorn" and mounted.mount():
        yield mounted
        mounted.unmount()
    else:
        yield Limited(tmp_path)


@pytest.mark.parametrize("server", ["gunicorn", "uwsgi"])
def test_a_full_disk_is_not_noticed_and_recording_goes_on_when_there_is_room(
    server: str, disk: Disk, tmp_path: Path
) -> None:
    """The disk fills up: the host goes on, what does not fit is dropped and counted; with room again, the
    rest is written.
    """
    database = disk.folder / "sender.sqlite"
    with hosting(
        server, tmp_path, f"sqlite:///{database}", queue_size="200", retry_most="0.5", breath="0"
    ) as host:
        host.timed(1)
        wait_for(lambda: recorded(database))
        disk.fill(workers(host))
        before = host.own_tests()
        taken = host.timed(400)
        assert before == bare(server, tmp_path)
        assert max(taken) < 1.0
        # what the journal had room for already may still have been written
        wait_for(
            lambda: taken.extend(host.timed(20)) or "recording waits" in host.log.read_text(errors="replace")
        )
        held = len(recorded(database))
        disk.make_room(workers(host))
        wait_for(lambda: counters(database).get("dropped", 0) > 0, 20)
        total = 1 + MODIFYING_IN_OWN_TESTS + len(taken)
        wait_for(lambda: len(recorded(database)) + counters(database)["dropped"] == total)
        assert len(recorded(database)) > held
        assert host.own_tests() == bare(server, tmp_path)


@pytest.mark.parametrize("server", ["gunicorn", "uwsgi"])
def test_a_database_server_that_dies_and_one_that_hangs_are_not_noticed(
    server: str, node_cluster: Any, tmp_path: Path
) -> None:
    """Postgres is killed under load and comes back; then all its processes stop without a word, and go on. The host
    answers as ever, and every request is in the table, once.
    """
    url = node_cluster.dsn("postgres").replace("postgresql://", "postgresql+psycopg2://", 1)

    def rows() -> int:
        with psycopg2.connect(node_cluster.dsn("postgres"), connect_timeout=5) as connection:
            with connection.cursor() as cursor:
                cursor.execute("select to_regclass(%s)", (f"{server}_action_logs",))
                if cursor.fetchone()[0] is None:
                    return 0  # the writer makes the tables beside the first requests
                cursor.execute(f"select count(*) from {server}_action_logs")
                return int(cursor.fetchone()[0])

    with hosting(
        server, tmp_path, url, queue_size="5000", retry_most="0.3", table_prefix=f"{server}_"
    ) as host:
        sent = len(host.timed(50))
        wait_for(lambda: rows() == sent)
        loads = []
        for trouble, relief in (
            (node_cluster.kill, lambda: node_cluster.start(tied=True)),
            (stop(node_cluster), go_on(node_cluster)),
        ):
            loads.append(host.timed(50))
            trouble()
            loads.append(host.timed(100))
            assert host.own_tests() == bare(server, tmp_path)
            loads.append(host.timed(50))
            relief()
            sent += MODIFYING_IN_OWN_TESTS
        taken = [seconds for load in loads for seconds in load]
        assert max(taken) < 1.0
        wait_for(lambda: rows() == sent + len(taken), 20)
    assert "ended without notice" not in host.log.read_text(errors="replace")


def stop(cluster: Any) -> Callable[[], None]:
    """A way to stop all processes of a database server in their tracks."""
    return lambda: signal_all(cluster.pid, signal.SIGSTOP)


def go_on(cluster: Any) -> Callable[[], None]:
    """A way to let them go on."""
    return lambda: signal_all(cluster.pid, signal.SIGCONT)


def signal_all(pid: int, number: signal.Signals) -> None:
    """Signal a process and its children."""
    for each in (pid, *children(pid)):
        os.kill(each, number)


SLOW_FSYNC = """
#include <unistd.h>
int fsync(int fd) { (void)fd; usleep(500000); return 0; }
int fdatasync(int fd) { (void)fd; usleep(500000); return 0; }
"""


def test_a_slow_disk_is_not_noticed(tmp_path: Path) -> None:
    """Every sync to the disk takes half a second, under a real server: no request waits, and all records arrive."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no compiler for the slow sync")
    source, library = tmp_path / "slow.c", tmp_path / "slow.so"
    source.write_text(SLOW_FSYNC)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    database = tmp_path / "sender.sqlite"
    with hosting("gunicorn", tmp_path, f"sqlite:///{database}", preload=str(library)) as host:
        assert host.own_tests() == bare("gunicorn", tmp_path)
        taken = []
        for _ in range(10):
            taken += host.timed(20)
            time.sleep(0.2)
        # were they waiting for the disk, it would be each of those that meet a sync
        assert sum(1 for seconds in taken if seconds > 0.45) <= 2
        wait_for(lambda: len(recorded(database)) == len(taken) + MODIFYING_IN_OWN_TESTS, 30)


def test_a_locked_database_is_not_noticed(tmp_path: Path) -> None:
    """Someone holds the database for two seconds: no request waits for it, and all are there afterwards."""
    database = tmp_path / "sender.sqlite"
    with hosting("uwsgi", tmp_path, f"sqlite:///{database}") as host:
        host.timed(1)
        wait_for(lambda: recorded(database))
        lock = sqlite3.connect(database, isolation_level=None)
        lock.execute("begin exclusive")
        until = time.monotonic() + 2
        taken = []
        while time.monotonic() < until:
            taken += host.timed(10)
            time.sleep(0.05)
        lock.execute("rollback")
        lock.close()
        assert max(taken) < 1.0
        wait_for(lambda: len(recorded(database)) == 1 + len(taken), 15)


def test_a_killed_writer_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    """The writing thread is killed several times under load: the next request starts another, every record arrives."""
    database = tmp_path / "sender.sqlite"
    with hosting("gunicorn", tmp_path, f"sqlite:///{database}", linger="0.02", breath="0.002") as host:
        sent = 0
        for _ in range(4):
            sent += len(host.timed(30))
            assert host.ask("GET", "/kill-writer")[0] == 200
            time.sleep(0.4)
        time.sleep(1.0)
        sent += len(host.timed(10))
        wait_for(lambda: len(recorded(database)) == sent)
        assert host.own_tests() == bare("gunicorn", tmp_path)


@pytest.mark.parametrize("server", ["gunicorn-preload", "uwsgi"])
def test_a_killed_process_loses_only_its_queue_and_the_next_one_says_how_much(
    server: str, tmp_path: Path
) -> None:
    """SIGKILL under load: what was committed stays, accepted = written + lost to the record, and the log says so."""
    database = tmp_path / "sender.sqlite"
    with hosting(server, tmp_path, f"sqlite:///{database}", linger="0.5", upkeep_every="1") as host:
        answered = 0
        for _ in range(2):
            answered += len(host.timed(150))
            committed = len(recorded(database))
            for pid in workers(host):
                os.kill(pid, signal.SIGKILL)
            time.sleep(1.0)
            assert len(recorded(database)) >= committed
        answered += len(host.timed(5))
        wait_for(lambda: len(recorded(database)) + counters(database).get("lost", 0) == answered, 15)
        assert 0 < counters(database)["lost"] <= 300
    assert "ended without notice" in host.log.read_text(errors="replace")


def test_uwsgi_without_threads_serves_as_ever_and_says_that_it_cannot_record(tmp_path: Path) -> None:
    """uWSGI that runs no Python threads: nothing is recorded, the log names the switch, answers are the same."""
    with hosting("uwsgi-without-threads", tmp_path, f"sqlite:///{tmp_path}/sender.sqlite") as host:
        assert host.own_tests() == bare("uwsgi", tmp_path)
    assert "enable-threads" in host.log.read_text(errors="replace")
