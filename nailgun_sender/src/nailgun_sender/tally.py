"""Counts in shared memory that outlives the process: what a kill took can then be told."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import clock

_NAME = "fuel-stat-sender"
_FORMAT = "QQ"
_SIZE = struct.calcsize(_FORMAT)


class Tally:
    """Two numbers (records accepted and refused by this process), readable after its death.

    They lie in a memory file system: setting them costs no system call and cannot meet a slow or a
    full disk. ``counts`` has the two. The pages are allocated when it is made, so a later write cannot fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\0" * _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self.counts = memoryview(self._map).cast("Q")

    def remove(self) -> None:
        """Forget the count: this process ended in good order."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class LeftTally:
    """The counts of a process that is gone."""

    path: Path
    session: str
    pid: int
    process_start: str
    accepted: int
    refused: int


def make(folder: str, database: str, session: str) -> Tally | None:
    """Make the tally of this process, None when the folder is unset or not usable."""
    if not folder:
        return None
    started = clock.process_start(os.getpid()) or "unknown"
    name = f"{_NAME}.{_digest(database)}.{session}.{os.getpid()}.{started}"
    try:
        return Tally(Path(folder) / name)
    except OSError:
        return None


def left(folder: str, database: str) -> Iterator[LeftTally]:
    """Tallies of processes that died without removing theirs, for one database."""
    if not folder:
        return
    for path in sorted(Path(folder).glob(f"{_NAME}.{_digest(database)}.*")):
        try:
            # the folder is everybody's: what another user put there says nothing, and may not even be a file
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size != _SIZE:
                continue
            session, pid, started = path.name.split(".")[-3:]
            if clock.process_start(int(pid)) == started:
                continue
            accepted, refused = struct.unpack(_FORMAT, path.read_bytes())
        except (OSError, ValueError, struct.error):
            # not ours to read, or half made: left alone, the session row tells "at most"
            continue
        yield LeftTally(path, session, int(pid), started, accepted, refused)


def _digest(database: str) -> str:
    return hashlib.sha256(database.encode()).hexdigest()[:12]
