"""From an observation to the table: tasks, forks, failures, counts."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
import sqlalchemy as sa
from nailgun_sender.ledger import Batch, Ledger
from nailgun_sender.observation import Request, TaskFinished
from nailgun_sender.rows import RowMaker
from nailgun_sender.store import Store, migrations
from nailgun_sender.urlmap import UrlMap

from nailgun_sender import Recorder, Settings, StoreError, aftermath, clock, retention

sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""


def rows(store: Store, table: str = "actions") -> list[dict[str, Any]]:
    """All rows of a table, in order."""
    chosen = getattr(store.tables, table)
    with store.read() as connection:
        found = connection.execute(sa.select(chosen).order_by(*chosen.primary_key.columns)).mappings()
        return [dict(row) for row in found]


def counters(store: Store) -> dict[str, int]:
    """Counter -> total."""
    return {row["name"]: row["value"] for row in rows(store, "counters")}


def request(path: str = "/api/clusters/1/") -> Request:
    """A request that succeeded."""
    seen = Request("PUT", path, "token")
    seen.status, seen.ended = "200 OK", seen.steady + 0.25
    return seen


def test_a_request_becomes_a_row_of_the_contract(recorder: Recorder, store: Store) -> None:
    """Names, template, standard status, duration from the monotonic clock, a keyed hash instead of the token."""
    seen = request("/api/clusters/7/attributes/")
    seen.status, seen.error = "418 I like tea and bob@example.com", b"no: bob@example.com"
    seen.wall = 1_700_000_000.5
    recorder.offer(seen)
    assert recorder.flush()
    (row,) = rows(store)
    assert row["action_type"] == "http_request"
    assert (row["action_group"], row["action_name"], row["cluster_id"]) == (
        "cluster_attributes",
        "attributes",
        7,
    )
    assert row["additional_info"] == {
        "request_data": {"http_method": "PUT", "url": "/api/clusters/{cluster_id}/attributes/", "data": {}},
        "response_data": {"status": "418 I'm a Teapot", "data": {"message": "no: [email]"}},
    }
    assert row["start_timestamp"] == datetime(2023, 11, 14, 22, 13, 20, 500000)  # noqa: DTZ001
    assert row["end_timestamp"] - row["start_timestamp"] == timedelta(milliseconds=250)
    assert row["duration_ms"] == pytest.approx(250)
    assert len(row["actor_id"]) == 64
    assert "token" not in str(row)
    assert not row["is_sent"]


@sqlite_only
def test_unmapped_requests_are_left_out_when_switched_off(settings: Settings, store: Store) -> None:
    """They are counted, not recorded."""
    recorder = Recorder(replace(settings, record_unmapped=False))
    recorder.offer(request("/somewhere"))
    recorder.offer(request())
    assert recorder.flush()
    recorder.close()
    assert [row["action_name"] for row in rows(store)] == ["cluster_instance"]
    assert counters(store)["skipped_unmapped"] == 1


def test_tasks_have_parents_children_and_an_end(recorder: Recorder, store: Store) -> None:
    """Blocks nest, exceptions end a task as error and go on, decorated functions are tasks, an open one stays open."""
    tasks = recorder.tasks

    @tasks.tracked(group="operations")
    def dump() -> str:
        return "dumped"

    with tasks.task("deploy", cluster_id=3) as deploy:
        with pytest.raises(KeyError), tasks.task("provision"):
            raise KeyError("password=hunter2")
        assert dump() == "dumped"
    left_open = tasks.start_task("verify_networks", parent=deploy)
    assert recorder.flush()
    deployed, provisioned, dumped, verifying = rows(store)
    assert deployed["additional_info"]["subtasks_ids"] == [provisioned["id"], dumped["id"], verifying["id"]]
    assert provisioned["additional_info"]["parent_task_id"] == deployed["id"]
    assert provisioned["additional_info"]["ended_with_status"] == "error"
    assert provisioned["additional_info"]["message"] == "KeyError: '[secret]"
    assert (dumped["action_name"], dumped["action_group"]) == ("dump", "operations")
    assert verifying["end_timestamp"] is None
    tasks.finish_task(
        left_open.task_uuid, "ready", nodes=[1, 2], output={"method": "verify", "args": {"secret": 1}}
    )
    assert recorder.flush()
    verified = rows(store)[3]
    assert verified["additional_info"]["nodes_from_resp"] == [1, 2]
    assert verified["additional_info"]["output"] == {"method": "verify"}
    assert verified["action_group"] == "cluster_checking"


@sqlite_only
def test_the_first_end_of_a_task_counts_at_once(recorder: Recorder, store: Store) -> None:
    """A block that has more to tell ends itself; the second end is counted and keeps nobody waiting."""
    with recorder.tasks.task("deploy", cluster_id=3) as deploy:
        recorder.tasks.finish_task(deploy, "error", message="one node failed", nodes=[4])
    assert recorder.flush(3)
    (row,) = rows(store)
    assert (row["additional_info"]["ended_with_status"], row["additional_info"]["nodes_from_resp"]) == (
        "error",
        [4],
    )
    assert (row["version"], counters(store)) == (2, {"task_ends_repeated": 1})


@sqlite_only
def test_functions_coroutines_and_threads_are_tasks(recorder: Recorder, store: Store) -> None:
    """A coroutine takes as long as it is awaited, the cluster comes from an argument, a thread names its parent."""
    tasks = recorder.tasks

    @tasks.tracked("deploy", cluster_argument="cluster")
    async def deploy(cluster: int) -> str:
        await asyncio.sleep(0.05)
        return "deployed"

    @tasks.tracked(cluster_argument="cluster")
    def provision(node: int, cluster: int = 0) -> None:
        """Provision."""

    assert asyncio.run(deploy(7)) == "deployed"
    provision(1, cluster=8)
    with pytest.raises(TypeError):
        provision()  # type: ignore[call-arg]
    parent = tasks.start_task("update")

    def child() -> None:
        with tasks.task("dump", parent=parent):
            pass

    thread = threading.Thread(target=child)
    thread.start()
    thread.join()
    assert recorder.flush(3)
    told = {row["action_name"]: row for row in rows(store)}
    assert (told["deploy"]["cluster_id"], provision.__name__) == (7, "provision")
    assert told["deploy"]["duration_ms"] >= 50
    assert [row["additional_info"]["ended_with_status"] for row in rows(store)[:3]] == [
        "ready",
        "ready",
        "error",
    ]
    assert told["dump"]["additional_info"]["parent_task_id"] == told["update"]["id"]


@sqlite_only
def test_a_jumping_clock_makes_no_negative_duration(
    recorder: Recorder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock goes back an hour within a task, and the task is finished by its uuid alone: it took
    what it took.
    """
    task = recorder.tasks.start_task("deploy")
    assert recorder.flush()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    time.sleep(0.05)
    recorder.tasks.finish_task(task.task_uuid)
    assert recorder.flush()
    (row,) = rows(store)
    assert 50 <= row["duration_ms"] < 5000
    assert row["end_timestamp"] > row["start_timestamp"]


@sqlite_only
def test_a_task_that_ends_after_a_reboot_ends_no_earlier_than_it_began(
    settings: Settings, store: Store
) -> None:
    """Monotonic clocks of two boots do not compare: the wall clock counts, never before the start."""
    recorder = Recorder(settings)
    task = recorder.tasks.start_task("deploy", detached=True)
    earlier = clock.Moment(task.start.wall - 500, 3.0)
    recorder.offer(TaskFinished(task.task_uuid, "ready", None, (), None, end=earlier, boot="another boot"))
    assert recorder.flush()
    recorder.close()
    (row,) = rows(store)
    assert row["duration_ms"] == 0


@sqlite_only
def test_a_task_may_end_in_another_process_even_before_its_start_is_written(
    settings: Settings, store: Store
) -> None:
    """By handle or by uuid; the end waits for the start that the other process is about to write."""
    slow = Recorder(replace(settings, linger=1.5))
    other = Recorder(settings)
    slow.tasks.finish_task(slow.tasks.start_task("warm up"))
    by_uuid, by_handle = slow.tasks.start_task("deploy"), slow.tasks.start_task("update")
    other.tasks.finish_task(by_uuid.task_uuid, message="by uuid")
    other.tasks.finish_task(pickle.loads(pickle.dumps(by_handle)), message="by handle")
    assert other.flush(8)
    assert slow.flush(8)
    messages = [row["additional_info"].get("message") for row in rows(store)]
    assert sorted(filter(None, messages)) == ["by handle", "by uuid"]
    other.close(5)
    slow.close(5)


@sqlite_only
def test_a_forked_child_records_through_a_writer_of_its_own(recorder: Recorder, store: Store) -> None:
    """Parent and children record at once; nothing is written twice, nothing of the parent's queue by a child."""
    recorder.offer(request())
    children = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            for _n in range(20):
                recorder.offer(request())
            recorder.close(10)
            os._exit(0)
        children.append(pid)
    for _n in range(20):
        recorder.offer(request())
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert recorder.flush(10)
    assert len(rows(store)) == 81
    sessions = rows(store, "sessions")
    assert sorted(each["written"] for each in sessions) == [20, 20, 20, 21]


@contextmanager
def held(store: Store, settings: Settings) -> Iterator[None]:
    """Somebody else's transaction, which our writer has to wait for."""
    if store.engine.dialect.name == "postgresql":
        with store.write() as connection:
            connection.execute(sa.text("lock table action_logs in exclusive mode"))
            yield
        return
    # of another process: a child of this one would take an open SQLite transaction for its own
    script = (
        "import sqlite3, sys; held = sqlite3.connect(sys.argv[1]); held.execute('begin exclusive');"
        " print(1, flush=True); input()"
    )
    path = settings.database_url.removeprefix("sqlite:///")
    with Popen([sys.executable, "-c", script, path], stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.communicate(b"\n")


def test_a_host_that_forks_does_not_wait_for_a_database_that_hangs(
    recorder: Recorder, store: Store, settings: Settings
) -> None:
    """The writer is stuck, since someone holds the database: forks take moments, and the children record."""
    recorder.offer(request())
    assert recorder.flush()
    children = []
    with held(store, settings):
        recorder.offer(request())
        time.sleep(0.3)
        began = time.monotonic()
        for _ in range(2):
            pid = os.fork()
            if not pid:
                recorder.offer(request())
                recorder.close(10)
                os._exit(0)
            children.append(pid)
        assert time.monotonic() - began < 1.9
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert recorder.flush(10)
    assert len(rows(store)) == 4


@sqlite_only
def test_ten_threads_lose_nothing(recorder: Recorder, store: Store) -> None:
    """A threaded host: every record that was not refused is in the table, once."""
    with ThreadPoolExecutor(10) as pool:
        taken = list(pool.map(lambda _n: recorder.offer(request()), range(300)))
    assert recorder.flush(20)
    assert all(taken)
    assert len(rows(store)) == 300


def test_a_dead_process_is_settled_once_by_whoever_comes_next(settings: Settings, store: Store) -> None:
    """Killed with a full queue: lost is accepted less written, its tasks are closed as orphaned, detached
    ones stay open.
    """
    pid = os.fork()
    if not pid:
        dying = Recorder(replace(settings, linger=60))
        dying.tasks.start_task("deploy")
        dying.tasks.start_task("provision", detached=True)
        dying.flush(5)
        for _n in range(7):
            dying.offer(request())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    stores = [Store.open(settings) for _ in range(4)]
    threads = [threading.Thread(target=aftermath.settle, args=(each, settings)) for each in stores]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for opened in stores:
        opened.close()
    orphan, detached = rows(store)
    assert orphan["additional_info"]["orphaned"] is True
    assert orphan["additional_info"]["ended_with_status"] == "error"
    assert orphan["end_timestamp"] >= orphan["start_timestamp"]
    assert detached["end_timestamp"] is None
    assert counters(store) == {"lost": 7, "orphaned_tasks": 1}
    (session,) = rows(store, "sessions")
    assert (session["accepted"], session["written"], session["lost"], session["lost_is_exact"]) == (
        9,
        2,
        7,
        True,
    )
    # a late, true end still counts while the orphan was not sent
    late = Recorder(settings)
    late.tasks.finish_task(str(orphan["task_uuid"]), message="after all")
    assert late.flush()
    late.close()
    assert rows(store)[0]["additional_info"]["message"] == "after all"


@sqlite_only
def test_without_a_tally_a_kill_is_reported_as_at_most_the_queue(settings: Settings, store: Store) -> None:
    """After a reboot nothing is left in memory: the bound is told as a bound."""
    bare = replace(settings, tally_folder="")
    pid = os.fork()
    if not pid:
        dying = Recorder(bare)
        dying.offer(request())
        dying.flush(5)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    aftermath.settle(store, bare)
    (session,) = rows(store, "sessions")
    assert (session["lost"], session["lost_is_exact"]) == (1100, False)
    assert counters(store) == {"lost_at_most": 1100}


def test_a_batch_whose_commit_was_unclear_is_not_doubled(settings: Settings, store: Store) -> None:
    """The same batch committed twice (the answer to the first was lost): one set of rows, one set of counts."""
    ledger = Ledger(store, "s", settings)
    ledger.begin(None, clock.now())
    maker = RowMaker(UrlMap(), b"key", record_unmapped=True, session="s")
    batch = Batch(1, settled=1, accepted=1)
    batch.add(request(), maker)
    batch.count("dropped", 5)
    ledger.commit(batch, maker)
    ledger.commit(batch, maker)
    assert len(rows(store)) == 1
    assert counters(store) == {"dropped": 5}
    assert rows(store, "sessions")[0]["written"] == 1


def test_one_record_that_the_database_refuses_does_not_hold_up_the_others(
    recorder: Recorder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found, dropped and counted; so is one that we cannot treat at all."""
    bad = request("/api/clusters/13/")
    treat = RowMaker.request

    def spoiling(self: RowMaker, seen: Request) -> Any:
        row = treat(self, seen)
        if row and row["cluster_id"] == 13:
            row["action_type"] = None if self.session else row["action_type"]
        if row and row["cluster_id"] == 14:
            raise ValueError("cannot treat")
        return row

    monkeypatch.setattr(RowMaker, "request", spoiling)
    monkeypatch.setattr(Ledger, "_insert", _insert_all)
    for seen in (request(), bad, request("/api/clusters/14/"), request()):
        recorder.offer(seen)
    assert recorder.flush()
    assert len(rows(store)) == 2
    assert counters(store) == {"refused_by_database": 1, "untreatable": 1}


def _insert_all(self: Ledger, connection: Any, new: Any) -> None:
    for row in new:
        connection.execute(self.store.tables.actions.insert().values(**row))


def test_the_schema_is_made_once_by_many_at_the_same_time(settings: Settings) -> None:
    """Twelve processes start together on an empty database: each finds the schema, one row of version."""
    with ThreadPoolExecutor(12) as pool:
        stores = list(pool.map(lambda _n: Store.open(settings), range(12)))
    with stores[0].read() as connection:
        versions = connection.execute(sa.select(stores[0].tables.schema.c.version)).scalars().all()
    assert versions == [len(migrations.STEPS)]
    assert len({each.fact_or_new("actor_key") for each in stores}) == 1
    for each in stores:
        each.close()


def test_a_table_of_somebody_else_is_never_touched(url: str, settings: Settings) -> None:
    """A host that has an action_logs of its own is told to set a prefix; with one, both live side by side."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("create table action_logs (theirs integer)"))
        connection.execute(sa.text("insert into action_logs values (1)"))
    with pytest.raises(StoreError) as caught:
        Store.open(settings)
    assert caught.value.code == "foreign_table"
    other = Store.open(replace(settings, table_prefix="fs_"))
    assert other.tables.actions.name == "fs_action_logs"
    assert rows(other) == []
    other.close()
    with engine.begin() as connection:
        assert connection.execute(sa.text("select theirs from action_logs")).scalar() == 1
        connection.execute(sa.text("drop table action_logs"))
    engine.dispose()


@sqlite_only
def test_a_newer_schema_is_refused(settings: Settings, store: Store) -> None:
    """An older release does not write into tables that it does not know."""
    with store.write() as connection:
        connection.execute(store.tables.schema.update().values(version=99))
    with pytest.raises(StoreError) as caught:
        Store.open(settings)
    assert caught.value.code == "newer_schema"


def test_only_what_was_sent_expires_and_the_cap_takes_the_oldest(
    settings: Settings, recorder: Recorder, store: Store
) -> None:
    """Sent long ago goes; unsent stays; above the cap the sent go first, then the oldest, and each is counted."""
    table = store.tables.actions
    for _n in range(10):
        recorder.offer(request())
    assert recorder.flush()
    ids = [row["id"] for row in rows(store)]
    old, recent = clock.now() - timedelta(days=31), clock.now() - timedelta(days=1)
    with store.write() as connection:
        for number, sent_at in ((0, old), (1, old), (5, recent), (6, recent)):
            connection.execute(
                table.update().where(table.c.id == ids[number]).values(is_sent=True, sent_at=sent_at)
            )
    assert retention.apply(store, settings) == {"expired_actions": 2}
    assert [row["id"] for row in rows(store)] == ids[2:]
    gone = retention.apply(store, replace(settings, most_actions=5))
    assert gone == {"capped_actions": 3, "capped_unsent_actions": 1}
    assert [row["id"] for row in rows(store)] == [ids[3], ids[4], *ids[7:]]
    assert counters(store) == {"expired_actions": 2, "capped_actions": 3, "capped_unsent_actions": 1}


@sqlite_only
def test_ids_are_never_given_twice(settings: Settings, recorder: Recorder, store: Store) -> None:
    """Ids are the collector's keys: after the newest rows are gone, new ones get higher ids."""
    recorder.offer(request())
    assert recorder.flush()
    (first,) = rows(store)
    with store.write() as connection:
        connection.execute(store.tables.actions.delete())
    recorder.offer(request())
    assert recorder.flush()
    assert rows(store)[0]["id"] > first["id"]


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The file, its companions and a folder made for it are unreadable to others, whatever the host's umask: the key of
    the actors' hashes is in it. A file that was there keeps its mode.
    """
    path, shared = tmp_path / "new" / "node.sqlite", tmp_path / "shared.sqlite"
    shared.touch()
    shared.chmod(0o660)
    before = os.umask(0)
    try:
        for each in (path, shared):
            store = Store.open(Settings(database_url=f"sqlite:///{each}"))
            store.fact_or_new("actor_key")
            modes = {found.name: found.stat().st_mode & 0o777 for found in each.parent.glob(f"{each.name}*")}
            assert set(modes.values()) == {0o600 if each is path else 0o660}, modes
            assert len(modes) == 3
            store.close()
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_recording_survives_a_database_that_is_replaced(tmp_path: Path) -> None:
    """The file is overwritten with rubbish under a running recorder, then removed: it begins anew and drops nothing."""
    path = tmp_path / "node.sqlite"
    recorder = Recorder(
        Settings(
            database_url=f"sqlite:///{path}", linger=0.02, retry_least=0.05, retry_most=0.1, tally_folder=""
        )
    )
    recorder.offer(request())
    assert recorder.flush()
    for each in tmp_path.glob("node.sqlite*"):
        each.write_bytes(b"rubbish " * 1000)
    recorder.offer(request())
    assert not recorder.flush(0.5)
    assert recorder.status().trouble
    for each in tmp_path.glob("node.sqlite*"):
        each.unlink()
    assert recorder.flush(5)
    until = time.monotonic() + 5
    while recorder.status().trouble is not None:  # said a moment after the write
        assert time.monotonic() < until
        time.sleep(0.01)
    recorder.close()
    store = Store.open(Settings(database_url=f"sqlite:///{path}"))
    assert len(rows(store)) == 1
    store.close()
