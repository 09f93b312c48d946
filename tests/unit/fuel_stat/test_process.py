"""Processes are known by id and start time, stopped with all their session, and never mistaken for another's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fuel_stat.stack import process

SLEEP = "import time; time.sleep(60)"
READY = "print('ready', flush=True); time.sleep(60)"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {READY}"


def spawn(folder: Path, code: str, name: str = "service") -> process.Process:
    """Start a Python program as a service of the stack below that folder."""
    env = {**os.environ, "FUEL_STAT_HOME": str(folder)}
    return process.spawn(
        name, [sys.executable, "-c", code], env=env, log=folder / f"{name}.log", run=folder, cwd=folder
    )


def wait_ready(folder: Path) -> None:
    """Wait until the program has said that it is ready."""
    while "ready" not in (folder / "service.log").read_text():
        os.sched_yield()


def test_a_started_process_is_recorded_runs_and_stops(tmp_path: Path) -> None:
    """The record survives the one who started it; stopping ends the process and removes the record."""
    spawn(tmp_path, SLEEP)
    found = process.running(tmp_path)
    assert found["service"].alive()
    assert process.stop(list(found.values()), run=tmp_path, timeout=5) == []
    assert not found["service"].alive()
    assert process.recorded(tmp_path) == {}


def test_a_process_that_does_not_listen_is_killed_and_named(tmp_path: Path) -> None:
    """After its time a process is killed, and the operator is told."""
    started = spawn(tmp_path, STUBBORN)
    wait_ready(tmp_path)
    assert process.stop([started], run=tmp_path, timeout=0.2) == ["service"]
    assert not started.alive()


def test_a_number_given_to_another_process_is_never_signalled(tmp_path: Path) -> None:
    """A record whose start time differs is not ours: our own process, standing in for a stranger's, survives."""
    stranger = process.Process("service", os.getpid(), (process.start_time(os.getpid()) or 0) - 1)
    assert not stranger.alive()
    assert process.stop([stranger], run=tmp_path, timeout=0.1) == []


def test_children_that_outlive_their_parent_are_ended_with_it(tmp_path: Path) -> None:
    """A service killed from outside leaves children: they are known by its session, also without any mark."""
    parent = spawn(tmp_path, PARENT)
    wait_ready(tmp_path)
    os.kill(parent.pid, 9)
    os.waitpid(parent.pid, 0)
    assert len(process.members(parent)) == 1
    process.stop([parent], run=tmp_path, timeout=1)
    assert process.members(parent) == []


def test_what_left_its_session_is_known_by_its_environment(tmp_path: Path) -> None:
    """A grandchild that made a session of its own still carries the stack's mark."""
    parent = spawn(tmp_path, PARENT.replace("])", "], start_new_session=True)"))
    wait_ready(tmp_path)
    process.stop([parent], run=tmp_path, timeout=5)
    left = process.marked(tmp_path)
    assert len(left) == 1
    process.end(left)
    assert process.marked(tmp_path) == []


def test_another_stacks_processes_are_not_found(tmp_path: Path) -> None:
    """Two stacks on one machine do not end each other."""
    (tmp_path / "a").mkdir()
    other = spawn(tmp_path / "a", SLEEP)
    assert process.marked(tmp_path / "b") == []
    assert process.marked(tmp_path / "a") == [other.pid]
    process.stop([other], run=tmp_path / "a", timeout=5)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"name": "x"}'])
def test_a_broken_record_is_left_out(tmp_path: Path, text: str) -> None:
    """A record that was cut off by a full disk does not keep the operator from stopping the rest."""
    (tmp_path / "broken.json").write_text(text)
    assert process.recorded(tmp_path) == {}
