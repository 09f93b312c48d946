"""Processes of the stack: started in their own session, recorded on disk, stopped by what was recorded.

A record holds the process id *and* its start time: a number that the system gave to somebody else later is
never killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fuel_stat.state import write_atomically

#: What `spawn` adds to a process's environment, beside the FUEL_STAT_HOME that it is given.
HOME_MARK = "FUEL_STAT_HOME"
SERVICE_MARK = "FUEL_STAT_SERVICE"

_LOG_LIMIT = 20_000_000


@dataclass(frozen=True)
class Process:
    """A started process: ``started`` is its start time in clock ticks since boot (field 22 of /proc/PID/stat)."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        """Whether that very process still runs (a zombie does not)."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None when it does not run."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (the state) on; none when it does not run or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The command's name may hold anything, also spaces and brackets: the fields come after the last one.
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] in "ZX" else fields


def spawn(
    name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path, run: Path, cwd: Path
) -> Process:
    """Start ``command`` in its own session with output appended to ``log``, and record it in ``run``."""
    _rotate(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            env={**env, SERVICE_MARK: name},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = Process(name, child.pid, start_time(child.pid) or 0)
    write_atomically(run / f"{name}.json", json.dumps(asdict(process)) + "\n")
    # The record is what counts from here on: nobody waits for the object.
    child.returncode = 0
    return process


def recorded(run: Path) -> dict[str, Process]:
    """Every recorded process by name, running or not."""
    found = {}
    for path in sorted(run.glob("*.json")) if run.is_dir() else ():
        with contextlib.suppress(ValueError, TypeError, OSError):
            found[path.stem] = Process(**json.loads(path.read_text()))
    return found


def running(run: Path) -> dict[str, Process]:
    """The recorded processes that run."""
    return {name: process for name, process in recorded(run).items() if process.alive()}


def stop(
    processes: Sequence[Process], *, run: Path, timeout: float, patience: Mapping[str, float] | None = None
) -> list[str]:
    """Ask the processes to end; kill what remains after its time, with all that they started.

    Args:
        processes: recorded processes, running or not.
        run: the folder of their records, which are removed.
        timeout: seconds that a process has.
        patience: other times, by name.

    Returns:
        The names of those that had to be killed.
    """
    alive = [process for process in processes if process.alive()]
    for process in alive:
        _signal(process.pid, signal.SIGTERM)
    began = time.monotonic()
    stubborn: list[str] = []
    while alive:
        waited = time.monotonic() - began
        late = [process for process in alive if waited > (patience or {}).get(process.name, timeout)]
        for process in late:
            _signal(process.pid, signal.SIGKILL)
        stubborn += [process.name for process in late if process.name not in stubborn]
        time.sleep(0.05)
        _reap(alive)
        alive = [process for process in alive if process.alive()]
    end([pid for process in processes for pid in members(process)])
    for process in processes:
        (run / f"{process.name}.json").unlink(missing_ok=True)
    return stubborn


def members(process: Process) -> list[int]:
    """Processes of the session that this process began, itself included: what it started and what that started.

    The kernel gives no number to a new process while a session of that number has members. Should the whole session
    have ended and the number have been given away since, then its new owner began at another time.
    """
    leader = start_time(process.pid)
    if leader is not None and leader != process.started:
        return []
    return [
        pid for pid, fields in _all() if int(fields[3]) == process.pid and int(fields[19]) >= process.started
    ]


def marked(home: Path) -> list[int]:
    """Processes whose environment says that they belong to the stack below ``home``.

    These are what left its session on purpose. (Programs that set a title for ``ps`` overwrite their environment:
    those are found by their session.)
    """
    ours = f"{HOME_MARK}={home}".encode()
    found = []
    for pid, _ in _all():
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours in variables and any(item.startswith(f"{SERVICE_MARK}=".encode()) for item in variables):
            found.append(pid)
    return found


def end(pids: Sequence[int], *, timeout: float = 3.0) -> None:
    """Ask these processes to end, and kill them after ``timeout`` seconds."""
    known = {pid: start_time(pid) for pid in pids if pid != os.getpid()}
    for sign in (signal.SIGTERM, signal.SIGKILL):
        left = [pid for pid, started in known.items() if started is not None and start_time(pid) == started]
        for pid in left:
            _signal(pid, sign)
        deadline = time.monotonic() + timeout
        while any(start_time(pid) == known[pid] for pid in left) and time.monotonic() < deadline:
            time.sleep(0.02)


def _all() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            yield int(entry.name), fields


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _reap(processes: Sequence[Process]) -> None:
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
