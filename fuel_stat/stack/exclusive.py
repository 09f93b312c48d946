"""One command at a time changes the stack."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from fuel_stat.errors import OperatorError
from fuel_stat.stack import process

_NAME = "lock"


@contextlib.contextmanager
def exclusive(home: Path, what: str) -> Iterator[None]:
    """Hold the stack's lock; the kernel gives it back however this process ends.

    Raises:
        OperatorError: ``busy``, naming the command that holds it.
    """
    descriptor = os.open(home / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(home)
            shown = f"`fuel-stat {holder.name}` (process {holder.pid})" if holder else "Another command"
            raise OperatorError("busy", f"{shown} is changing the stack: wait until it has ended.") from None
        mine = process.Process(what, os.getpid(), process.start_time(os.getpid()) or 0)
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(mine)).encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def interrupt_holder(home: Path, timeout: float = 20.0) -> None:
    """Ask the command that is changing the stack to end, and kill it when it does not."""
    holder = _holder(home)
    if holder is None or holder.pid == os.getpid():
        return
    for sign in (signal.SIGINT, signal.SIGKILL):
        if not holder.alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, sign)
        deadline = time.monotonic() + timeout / 2
        while holder.alive() and time.monotonic() < deadline:
            time.sleep(0.05)


def _holder(home: Path) -> process.Process | None:
    try:
        holder = process.Process(**json.loads((home / _NAME).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return holder if holder.alive() else None
