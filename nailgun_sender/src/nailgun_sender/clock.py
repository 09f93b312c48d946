"""Time that does not jump, and the identity of a process across restarts and reboots."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1)


def naive_utc(seconds: float) -> datetime:
    """Seconds since the epoch -> naive UTC, as the wire contract writes timestamps."""
    return _EPOCH + timedelta(seconds=seconds)


def now() -> datetime:
    """Return the current time, naive UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Moment(NamedTuple):
    """One instant on both clocks: the wall's (may jump) and the monotonic one (since boot).

    A tuple, because one is made on the host's request path.
    """

    wall: float
    steady: float

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(time.time(), time.monotonic())


def ended_at(start: Moment, steady_end: float) -> datetime:
    """End of something begun at ``start``: its wall time plus the monotonic duration.

    A wall clock set back (or forward) in between therefore changes neither order nor duration.
    """
    return naive_utc(start.wall + max(0.0, steady_end - start.steady))


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Identify this boot of the machine; monotonic clocks compare only within one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def host_name() -> str:
    """Name of this machine or container; processes are compared within one only."""
    return socket.gethostname()


def process_start(pid: int) -> str | None:
    """Start time of a process in ticks since boot, None when there is no such process.

    With the pid it names a process for good: pids are reused, this pair is not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if _is_gone(pid) else "unknown"
    after_name = stat.rpartition(")")[2].split()
    if after_name[0] in ("Z", "X"):
        return None
    return after_name[19]


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
