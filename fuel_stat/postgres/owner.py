"""Who runs the servers. Postgres refuses to run as root: then an unprivileged user of the machine does."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuel_stat.errors import OperatorError
from fuel_stat.postgres.binaries import Binaries

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that owns data folders and server processes when we are root."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Hand a folder and all below it to this user."""
        for folder, _, files in os.walk(path):
            os.chown(folder, self.uid, self.gid)
            for file in files:
                os.chown(Path(folder) / file, self.uid, self.gid, follow_symlinks=False)


def server_user() -> ServerUser | None:
    """``postgres`` or ``nobody`` when we are root; None when we are a plain user already.

    Raises:
        OperatorError: ``no_server_user`` when root has no such user to hand over to.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise OperatorError(
        "no_server_user", "Run as a plain user, or create a user named postgres for the servers."
    )


def reachable(path: Path, user: ServerUser | None) -> bool:
    """Whether that user can enter every existing folder on the way to ``path``."""
    if user is None:
        return True
    return all(
        _may_enter(folder, user) for folder in [path, *path.parents] if folder.exists() and folder.is_dir()
    )


def _may_enter(folder: Path, user: ServerUser) -> bool:
    status = folder.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == user.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def reachable_binaries(binaries: Binaries, user: ServerUser | None, root: Path) -> Binaries:
    """The same programs where the user can run them: copied below ``root`` when it cannot reach the originals."""
    if reachable(binaries.folder, user):
        return binaries
    source = binaries.folder.parent
    target = root / f"postgres-{binaries.version[0]}.{binaries.version[1]}"
    if not (target / "bin" / "postgres").exists():
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(target)
    return Binaries(target / "bin", binaries.version, binaries.origin)


def run_as(
    command: Sequence[str], user: ServerUser | None, *, cwd: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as the server user; its output is captured as text."""
    return subprocess.run(
        list(command), cwd=cwd, capture_output=True, text=True, check=False, **identity(user), **options
    )


def identity(user: ServerUser | None) -> dict[str, Any]:
    """The arguments of subprocess that make a child run as that user."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": [], "umask": 0o077}


def stop_with_parent(number: int = signal.SIGINT) -> Callable[[], None]:
    """A preexec function: the kernel signals the child when the process that started it has ended.

    The child does not inherit that the signal is ignored, as it is below a script's background job: it would live on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask() -> None:
        signal.signal(number, signal.SIG_DFL)
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
