"""The servers that are measured: a primary, its standby, the collector and the stand-in."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuel_stat import migrations
from fuel_stat.postgres import (
    COLLECTOR_ROLES,
    Cluster,
    ensure_database,
    ensure_roles,
    find_binaries,
    free_port,
    make_standby,
    server_user,
)
from fuel_stat.postgres.owner import reachable_binaries

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, str | int] = {
    "shared_buffers": "256MB", "max_wal_size": "2GB", "wal_level": "replica", "hot_standby": "on",
    "max_wal_senders": 8, "max_replication_slots": 8, "timezone": "UTC", "log_min_messages": "warning",
}  # fmt: skip


@dataclass
class Stack:
    """What is running."""

    primary: Cluster
    standby: Cluster
    ours: subprocess.Popen[bytes]
    ours_port: int
    baseline: subprocess.Popen[bytes]
    baseline_port: int

    environ: dict[str, str]

    def pids(self, ours: bool) -> tuple[int, int, int]:
        """Roots of the processes of server, primary and standby."""
        return (self.ours if ours else self.baseline).pid, self.primary.pid or 0, self.standby.pid or 0


@contextlib.contextmanager
def running() -> Iterator[Stack]:
    """Clusters with fsync, the collector as it comes, and the stand-in in gunicorn's threaded worker, two by four."""
    with contextlib.ExitStack() as closing:
        folder = Path(tempfile.mkdtemp(prefix="fuel-stat-bench-", dir="/tmp"))
        closing.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        user = server_user()
        if user:
            os.chown(folder, user.uid, user.gid)
        binaries = reachable_binaries(find_binaries(), user, folder)
        passwords = dict.fromkeys(COLLECTOR_ROLES, "bench")
        primary, standby = (
            Cluster(name, folder / name, free_port(), binaries, "bench", user, passwords)
            for name in ("primary", "standby")
        )
        primary.initialise(SETTINGS)
        primary.start(tied=True)
        closing.callback(primary.destroy)
        ensure_roles(primary.dsn("postgres"), passwords)
        ensure_database(primary.dsn("postgres"), "collector", "fuel_admin")
        migrations.upgrade(primary.dsn("collector"), "collector")
        make_standby(primary, standby)
        standby.start(tied=True)
        closing.callback(standby.destroy)
        os.environ["BENCH_DSN"] = primary.dsn("collector")
        from bench.ingest.baseline import create_tables  # noqa: PLC0415 - needs the address

        create_tables()
        ports = free_port(), free_port()
        conf = ["-c", str(REPOSITORY / "ingest_api" / "gunicorn_conf.py")]
        environ = {**os.environ, "FUEL_STAT_INGEST_DSN": primary.dsn("collector", "fuel_ingest")}
        # Quotas are counted while measuring, and never reached.
        environ |= {
            f"FUEL_STAT_INGEST_{name}_PER_HOUR": "1000000000"
            for name in ("NODE", "PREFIX", "NEW_NODES", "ALL_NEW_NODES")
        }
        environ["PYTHONPATH"] = str(REPOSITORY)
        servers = []
        for port, module in zip(ports, ("ingest_api.wsgi", "bench.ingest.baseline"), strict=True):
            log = closing.enter_context((folder / f"{module}.log").open("wb"))
            command = [
                sys.executable,
                "-m",
                "gunicorn",
                *conf,
                "--bind",
                f"127.0.0.1:{port}",
                *([] if module == "ingest_api.wsgi" else ["--worker-class", "gthread"]),
                f"{module}:application",
            ]
            own = environ if module == "ingest_api.wsgi" else environ | {"FUEL_STAT_INGEST_WORKERS": "2"}
            server = subprocess.Popen(command, env=own, stdout=log, stderr=log, cwd=REPOSITORY)
            closing.callback(server.wait)
            closing.callback(server.terminate)
            servers.append(server)
        for port in ports:
            _wait_for(port)
        yield Stack(primary, standby, servers[0], ports[0], servers[1], ports[1], environ)


def _wait_for(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("a server did not start")
