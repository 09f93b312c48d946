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

#: Every process of a stack carries these two variables; stopping sweeps up what carries both.
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
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may hold anything, also spaces and brackets: the fields come after the last one.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


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
    """Ask the processes to end; kill what remains after its time with all of its session.

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
        _signal(process, signal.SIGTERM)
    began = time.monotonic()
    stubborn = []
    while alive:
        _reap(alive)
        alive = [process for process in alive if process.alive()]
        waited = time.monotonic() - began
        late = [process for process in alive if waited > (patience or {}).get(process.name, timeout)]
        for process in late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        stubborn += [process.name for process in late if process.name not in stubborn]
        time.sleep(0.05 if alive else 0)
    for process in processes:
        (run / f"{process.name}.json").unlink(missing_ok=True)
    return stubborn


def sweep(home: Path, *, spare: frozenset[int] = frozenset(), timeout: float = 5.0) -> list[int]:
    """Stop what is left of the stack below ``home``: descendants that outlived their recorded parent.

    Known by their environment, which only processes started by ``spawn`` hand down. Returns the process ids.
    """
    left = [pid for pid in marked(home) if pid not in spare and pid != os.getpid()]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + timeout
        while any(start_time(pid) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not any(start_time(pid) for pid in left):
            break
    return left


def marked(home: Path) -> Iterator[int]:
    """Ids of processes whose environment says that they belong to the stack below ``home``."""
    ours = f"{HOME_MARK}={home}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours in variables and any(item.startswith(f"{SERVICE_MARK}=".encode()) for item in variables):
            yield int(entry.name)


def _signal(process: Process, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, sign)


def _reap(processes: Sequence[Process]) -> None:
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
