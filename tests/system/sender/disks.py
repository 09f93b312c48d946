"""Disks that are full when a test says so."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """A folder on a disk; the processes that use it are given when it fills up."""

    folder: Path

    def fill(self, pids: Sequence[int]) -> None:
        """From now on no byte more can be written."""

    def make_room(self, pids: Sequence[int]) -> None:
        """There is room again."""


@dataclass
class Mounted:
    """A memory file system of 300 kB: the kernel says ENOSPC. Needs the right to mount."""

    folder: Path

    def mount(self) -> bool:
        """Mount it; False when that is not allowed here."""
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self, pids: Sequence[int]) -> None:
        """Take all the room there is."""
        free = os.statvfs(self.folder)
        (self.folder / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize))

    def make_room(self, pids: Sequence[int]) -> None:
        """Make it larger."""
        subprocess.run(["mount", "-o", "remount,size=20m", str(self.folder)], check=True)

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@dataclass
class Limited:
    """A folder whose largest file cannot grow: the kernel says EFBIG to the processes. Needs no right."""

    folder: Path

    def fill(self, pids: Sequence[int]) -> None:
        """Let no file of these processes outgrow the database's journal; what they log is shorter than that."""
        largest = max(each.stat().st_size for each in self.folder.iterdir())
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def make_room(self, pids: Sequence[int]) -> None:
        """Lift the limit."""
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
