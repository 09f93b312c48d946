"""Starting and stopping, without Airflow: what an operator may do, and what a machine may do to him."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.conftest import Stack

pytestmark = pytest.mark.slow

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
RECORD = {
    "master_node_uid": "11111111-2222-3333-4444-555555555555",
    "external_id": 1,
    "body": {"action_type": "http_request", "action_name": "settings"},
}


@pytest.fixture(scope="module")
def small(make_stack: Callable[..., Stack]) -> Stack:
    """A running stack of databases, collector and analytics API."""
    made = make_stack()
    started(made)
    return made


def started(stack: Stack, **environ: str) -> None:
    """`up` without the demonstration ends with 0."""
    done = stack.cli("up", "--no-demo", **environ)
    assert done.returncode == 0, done.stderr


def send(stack: Stack, external_id: int) -> str:
    """Send one action log; the collector's word on it."""
    body = {"action_logs": [{**RECORD, "external_id": external_id}]}
    answer = httpx.post(f"{stack.ingest_url}/api/v1/action_logs/", json=body, trust_env=False, timeout=10)
    status: str = answer.json()["action_logs"][0]["status"]
    return status


def processes_of(stack: Stack, sessions: set[int] | None = None) -> set[int]:
    """Processes of a stack: of its services' sessions, or with its folder in their command line or environment."""
    leaders = sessions if sessions is not None else sessions_of(stack)
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().decode()
            variables = (entry / "environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        marked = f"FUEL_STAT_HOME={stack.home}" in variables and "FUEL_STAT_SERVICE=" in "".join(variables)
        if fields[0] != "Z" and (marked or f"{stack.home}/" in command or int(fields[3]) in leaders):
            found.add(int(entry.name))
    return found


def sessions_of(stack: Stack) -> set[int]:
    """The sessions of the services that run now."""
    return {json.loads(path.read_text())["pid"] for path in (stack.home / "run").glob("*.json")}


def pids(stack: Stack) -> dict[str, Any]:
    """The process id of each service, from `status`."""
    return {name: process["pid"] for name, process in stack.status["processes"].items() if process["pid"]}


def test_a_second_up_leaves_what_runs_alone(small: Stack) -> None:
    """Nothing is restarted, and it takes seconds."""
    before = pids(small)
    began = time.monotonic()
    started(small)
    assert time.monotonic() - began < 15
    assert pids(small) == before != {}


def test_down_leaves_no_process_and_up_finds_the_data_again(small: Stack) -> None:
    """After `down` nothing of the stack runs; after `up` the record sent before is `existed` at the same address."""
    assert send(small, 7) == "added"
    address, sessions = small.ingest_url, sessions_of(small)
    assert len(processes_of(small)) > 5
    done = small.cli("down")
    assert done.returncode == 0, done.stderr
    assert processes_of(small, sessions) == set()
    assert small.cli("down").returncode == 0
    started(small)
    assert small.ingest_url == address
    assert send(small, 7) == "existed"


def test_a_dead_service_shows_in_status_and_up_brings_it_back(small: Stack) -> None:
    """`status` ends with 1 while a service is away."""
    pid = pids(small)["ingest"]
    os.killpg(pid, signal.SIGKILL)
    small.wait_until(lambda: small.cli("status").returncode == 1, "status notices the dead collector", 20)
    assert small.status["services"]["ingest"]["healthy"] is False
    started(small)
    assert pids(small)["ingest"] != pid
    assert send(small, 8) == "added"


def test_a_standby_whose_data_is_gone_is_rebuilt_while_the_collector_works(small: Stack) -> None:
    """`standby rebuild` needs only the primary; afterwards the standby replays what is written."""
    data = Path(small.status["folders"]["databases"]) / "standby"
    assert small.cli("standby", "stop").returncode == 0
    shutil.rmtree(data)
    assert send(small, 9) == "added"
    assert small.cli("status").returncode == 1
    done = small.cli("standby", "rebuild")
    assert done.returncode == 0, done.stderr
    count = "select count(*) from collector.landing"
    expected = small.rows("primary", count)
    small.wait_until(lambda: small.rows("standby", count) == expected, "the standby has all rows")
    assert small.status["databases"]["collector_standby"]["healthy"] is True


def test_with_the_pepper_alone_everything_comes_back(small: Stack) -> None:
    """All other secrets are made anew when they are lost: data stays, pseudonyms stay, `down` never needs a secret."""
    assert send(small, 10) == "added"
    pepper = small.secrets["PEPPER"]
    (small.home / "secrets.env").write_text(f"PEPPER={pepper}\n")
    done = small.cli("status")
    assert done.returncode == 2
    assert "secrets.env" in done.stderr
    assert small.cli("down").returncode == 0
    started(small)
    small.__dict__.pop("secrets")  # read them anew
    assert small.secrets["PEPPER"] == pepper
    assert small.status["databases"]["collector_standby"]["healthy"] is True
    assert send(small, 10) == "existed"


def test_two_commands_at_once_do_not_mix(small: Stack) -> None:
    """While one command changes the stack, another is told so."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl,time\nf=open({str(small.home / 'lock')!r},'r+')\n"
            "fcntl.flock(f, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = small.cli("down")
        holder.kill()
    assert done.returncode == 2
    assert "is changing the stack" in done.stderr


def test_nothing_listens_beyond_loopback(small: Stack) -> None:
    """Every listening socket of the stack's processes is bound to a loopback address."""
    inodes = set()
    for pid in processes_of(small):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    listening = [
        (line.split()[1].split(":")[0], line.split()[9])
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    ours = [address for address, inode in listening if inode in inodes]
    assert len(ours) >= 5
    assert set(ours) <= {"0100007F", "00000000000000000000000001000000"}


def test_a_taken_port_is_named(make_stack: Callable[..., Stack]) -> None:
    """A port that the operator asked for and somebody else has: one line, exit code 2, nothing left running."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        made = make_stack()
        done = made.cli("up", "--no-demo", FUEL_STAT_INGEST_PORT=str(port))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fuel-stat: Port")
    assert str(port) in last
    assert "FUEL_STAT_INGEST_PORT" in last
    assert "Traceback" not in done.stderr


def test_it_runs_on_the_wheels_postgres(make_stack: Callable[..., Stack]) -> None:
    """With no Postgres installed the programs of the wheel do: records are landed and replicated."""
    made = make_stack(FUEL_STAT_PG_BIN="wheel", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    started(made)
    assert made.state["postgres"]["origin"] == "wheel"
    assert send(made, 1) == "added"
    count = "select count(*) from collector.landing"
    made.wait_until(lambda: made.rows("standby", count) == [(1,)], "the standby has the row")


@ROOT_ONLY
def test_a_private_home_moves_the_data_where_the_servers_can_reach_it(
    make_stack: Callable[..., Stack],
) -> None:
    """As root in a folder of mode 700, the servers' user keeps its data elsewhere; `status` says where."""
    made = make_stack()
    made.home.chmod(0o700)
    started(made)
    data = Path(made.status["folders"]["databases"])
    assert not data.is_relative_to(made.home)
    assert (data / "primary" / "PG_VERSION").exists()
    assert made.cli("reset", "--yes").returncode == 0
    assert not data.exists()


@ROOT_ONLY
def test_it_runs_as_a_plain_user(make_stack: Callable[..., Stack]) -> None:
    """A user without any rights but on a folder of his own starts and stops the stack."""
    nobody = pwd.getpwnam("nobody")
    command = str(Path(sys.executable).parent / "fuel-stat")
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
    try:
        subprocess.run([command, "--help"], stdout=subprocess.DEVNULL, cwd="/", check=True, **as_nobody)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("the user nobody cannot read this clone or its Python")
    root = make_stack()
    os.chown(root.home, nobody.pw_uid, nobody.pw_gid)
    theirs = replace(root, identity=as_nobody, environ={**root.environ, "HOME": str(root.home)})
    try:
        started(theirs)
        answer = theirs.status
        assert answer["databases"]["collector_standby"]["healthy"] is True
        assert answer["services"]["ingest"]["healthy"] is True
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_of(theirs)} == {nobody.pw_uid}
        sessions = sessions_of(theirs)
    finally:
        ended = theirs.cli("down")
    assert ended.returncode == 0, ended.stderr
    assert processes_of(theirs, sessions) == set()


def test_a_stack_ends_when_the_one_who_wanted_it_was_killed(make_stack: Callable[..., Stack]) -> None:
    """A killed test run leaves nothing: its stack notices and stops, databases included."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as parent:
        made = make_stack(FUEL_STAT_PARENT_PID=str(parent.pid))
        started(made)
        sessions = sessions_of(made)
        assert processes_of(made)
        parent.kill()
    made.wait_until(lambda: not processes_of(made, sessions), "everything has ended", 40)


def test_a_killed_up_is_finished_by_the_next(make_stack: Callable[..., Stack]) -> None:
    """`up` killed while the databases are made leaves nothing half: the next one completes."""
    made = make_stack()
    command = [str(Path(sys.executable).parent / "fuel-stat"), "up", "--no-demo"]
    with subprocess.Popen(command, env=made.environ, stderr=subprocess.DEVNULL) as killed:
        made.wait_until((made.home / "postgres" / "primary").exists, "the primary is being made", 20)
        time.sleep(0.2)
        killed.kill()
    started(made)
    assert send(made, 1) == "added"


def test_a_database_refuses_what_a_role_may_not(small: Stack) -> None:
    """Least privilege: the collector's role cannot rewrite what landed, the reader's cannot write at all."""
    forbidden = {
        ("primary", "fuel_ingest"): "delete from collector.landing",
        ("primary", "fuel_extract"): "insert into collector.contact default values",
        ("analytic", "fuel_analytics"): "delete from ops.load",
    }
    for (server, role), statement in forbidden.items():
        with psycopg.connect(small.dsn(server, role)) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.fixture(scope="module")
def make_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks without Airflow, each in a folder of its own; all end with the module."""
    from tests.system.conftest import new_stack, remove

    made: list[Stack] = []

    def make(**environ: str) -> Stack:
        made.append(new_stack(**{"FUEL_STAT_WITHOUT": "airflow,reports", **environ}))
        return made[-1]

    yield make
    for stack in made:
        remove(stack)
