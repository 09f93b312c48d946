"""One Postgres cluster on this machine: its data folder, its port, its process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from fuel_stat.errors import FuelStatError
from fuel_stat.postgres.binaries import Binaries
from fuel_stat.postgres.dsn import Dsn
from fuel_stat.postgres.owner import ServerUser, identity, run_as, stop_with_parent

HOST = "127.0.0.1"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0
_STATUS_LINE = 7  # of postmaster.pid: "ready", "standby", "starting", "stopping"


class ClusterError(FuelStatError):
    """A cluster did not do what was asked; the sentence carries the server's own last lines."""


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Cluster:
    """A cluster that may or may not run.

    Args:
        name: for logs and messages.
        data: the data folder; its parent must be reachable by ``user``.
        port: TCP port on loopback (unix sockets are off: their paths are limited to 107 bytes).
        superuser_password: of the role ``postgres``; all access is by scram.
        user: who runs the server; None means us.
        passwords: of other roles, by role name, so that ``dsn`` can make complete addresses.
    """

    name: str
    data: Path
    port: int
    binaries: Binaries
    superuser_password: str
    user: ServerUser | None = None
    passwords: dict[str, str] = field(default_factory=dict)
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def dsn(self, database: str, role: str = "postgres") -> str:
        """The libpq URL of a database here for a role whose password is known."""
        password = self.superuser_password if role == "postgres" else self.passwords[role]
        return str(Dsn(HOST, self.port, database, role, password))

    @property
    def log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def exists(self) -> bool:
        """Whether the data folder holds a cluster."""
        return (self.data / "PG_VERSION").exists()

    def initialise(self, settings: Mapping[str, str | int]) -> None:
        """Make the data folder (scram only, UTF-8) with these settings in ``conf.d``-like overrides.

        Raises:
            ClusterError: ``initdb_failed``.
        """
        self.data.parent.mkdir(parents=True, exist_ok=True)
        password_file = self.data.parent / f".{self.data.name}.pw"
        password_file.write_text(self.superuser_password + "\n")
        if self.user:
            os.chown(self.data.parent, self.user.uid, self.user.gid)
            os.chown(password_file, self.user.uid, self.user.gid)
        password_file.chmod(0o600)
        try:
            done = self.run(
                "initdb",
                *("--pgdata", str(self.data), "--username", "postgres", "--encoding", "UTF8"),
                *(
                    "--locale",
                    _locale(),
                    "--auth",
                    "scram-sha-256",
                    "--pwfile",
                    str(password_file),
                    "--no-sync",
                ),
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise ClusterError("initdb_failed", f"{self.name}: initdb failed: {done.stderr.strip()[-500:]}")
        self.configure(settings)

    def configure(self, settings: Mapping[str, str | int]) -> None:
        """Replace our own settings; they take effect at the next start."""
        path = self.data / "fuel_stat.conf"
        lines = [f"{key} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for key, value in settings.items()]
        path.write_text("".join(lines))
        main = self.data / "postgresql.conf"
        include = "include_if_exists = 'fuel_stat.conf'\n"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(include)
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)

    def run(self, program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one of Postgres's programs as the server user."""
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", **environ}
        return run_as([self.binaries.program(program), *arguments], self.user, cwd=self.data.parent, env=env)

    def start(self, *, tied: bool = False) -> None:
        """Start the server and wait until it accepts connections.

        Args:
            tied: the server stops by itself when this process ends (tests).

        Raises:
            ClusterError: ``cluster_not_started``.
        """
        self._forget_dead_child()
        if self.is_running():
            return
        # A process id left in the file after a crash may belong to somebody else by now; the server itself
        # refuses only if it is a live postgres, so the stale file may stay.
        address = [
            "-c",
            f"port={self.port}",
            "-c",
            f"listen_addresses={HOST}",
            "-c",
            "unix_socket_directories=",
        ]
        with self.log.open("ab") as output:
            if self.user:
                os.fchown(output.fileno(), self.user.uid, self.user.gid)
            self._child = subprocess.Popen(
                [self.binaries.program("postgres"), "-D", str(self.data), *address],
                cwd=self.data.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=stop_with_parent() if tied else None,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                **identity(self.user),
            )
        self._wait_ready(self._child)

    def _wait_ready(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                break
            lines = self._pid_lines()
            ours = len(lines) > _STATUS_LINE and lines[0] == str(child.pid)
            if ours and lines[_STATUS_LINE].strip() in ("ready", "standby") and self._answers():
                return
            time.sleep(0.02)
        raise ClusterError("cluster_not_started", f"{self.name} did not start: {self.last_log_lines()}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _pid_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        lines = self._pid_lines()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        try:
            os.kill(pid, 0)
            folder = Path(f"/proc/{pid}/cwd").readlink()
        except (ProcessLookupError, FileNotFoundError):
            return None
        except PermissionError:
            return pid
        return pid if folder == self.data.resolve() else None

    def is_running(self) -> bool:
        self._forget_dead_child()
        return self.pid is not None

    def stop(self, mode: str = "fast") -> None:
        """Stop the server (``smart``, ``fast`` or ``immediate``) and wait for its end.

        Raises:
            ClusterError: ``cluster_not_stopped``.
        """
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._signal_and_wait(signals[mode])

    def kill(self) -> None:
        """SIGKILL the server and every process of it, as a power cut would."""
        pid = self.pid
        if pid is None:
            return
        children = _children(pid)
        for victim in [pid, *children]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._wait_gone(pid)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _signal_and_wait(self, number: int) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        self._wait_gone(pid)

    def _wait_gone(self, pid: int) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if not _alive(pid):
                self._reap(pid)
                return
            time.sleep(0.02)
        raise ClusterError("cluster_not_stopped", f"{self.name} (process {pid}) did not stop in time.")

    def _reap(self, pid: int) -> None:
        # It is dead or a zombie: waiting takes no time, and leaves no unreaped child behind.
        if self._child is not None and self._child.pid == pid:
            self._child.wait(STOP_TIMEOUT_SECONDS)
            self._child = None

    def _forget_dead_child(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def promote(self) -> None:
        """Make a standby a primary and wait until it accepts writes.

        Raises:
            ClusterError: ``promotion_failed``.
        """
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            row = connection.execute("select pg_promote(true, 60)").fetchone()
        if not row or not row[0]:
            raise ClusterError("promotion_failed", f"{self.name} was not promoted: {self.last_log_lines()}")

    def destroy(self) -> None:
        """Stop at once and delete the data folder."""
        if self.is_running():
            self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)

    def last_log_lines(self, count: int = 5) -> str:
        """The end of the server's log, for messages."""
        try:
            return " | ".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except FileNotFoundError:
            return "(no log)"


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _locale() -> str:
    """C.UTF-8 where the machine has it: byte order for sorting, Unicode for lower()."""
    done = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    return "C.UTF-8" if "c.utf8" in done.stdout.lower().replace("-", "") else "C"
