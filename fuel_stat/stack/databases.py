"""The three Postgres servers of the local stack: collector primary, its standby, and the analytic server."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

from fuel_stat.errors import OperatorError
from fuel_stat.postgres import (
    Binaries,
    Cluster,
    ServerUser,
    ensure_database,
    ensure_roles,
    find_binaries,
    make_standby,
    reachable,
    rebuild_standby,
    server_user,
    wheel_binaries,
)
from fuel_stat.postgres.owner import reachable_binaries, run_as
from fuel_stat.postgres.roles import ANALYTIC_ROLES, COLLECTOR_ROLES

SERVERS = ("primary", "standby", "analytic")

_COMMON: Mapping[str, str | int] = {
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
    "password_encryption": "scram-sha-256",
}

COLLECTOR_SETTINGS: Mapping[str, str | int] = {
    **_COMMON,
    "max_connections": 100,
    "wal_level": "replica",
    "max_wal_senders": 8,
    "max_replication_slots": 8,
    # A standby that is gone may hold back this much WAL and no more: the primary's disk is worth more than it.
    "max_slot_wal_keep_size": "2GB",
    "hot_standby": "on",
    # The extraction reads long on the standby: the primary keeps the row versions that it still sees.
    "hot_standby_feedback": "on",
    "max_standby_streaming_delay": "5min",
    "wal_receiver_status_interval": "1s",
}

ANALYTIC_SETTINGS: Mapping[str, str | int] = {
    **_COMMON,
    "max_connections": 200,
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    # The models are many small statements: compiling each costs more than it saves.
    "jit": "off",
    "max_wal_size": "2GB",
}

_SECRETS = {
    "fuel_admin": "ADMIN_PASSWORD",
    "fuel_ingest": "INGEST_PASSWORD",
    "fuel_extract": "EXTRACT_PASSWORD",
    "fuel_backup": "BACKUP_PASSWORD",
    "fuel_warehouse": "WAREHOUSE_PASSWORD",
    "fuel_analytics": "ANALYTICS_PASSWORD",
    "fuel_reports": "REPORTS_PASSWORD",
    "airflow": "AIRFLOW_PASSWORD",
}

#: Database to (owner, the other roles that may connect).
_ANALYTIC_DATABASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "analytic": ("fuel_warehouse", ("fuel_analytics", "fuel_reports")),
    "reports": ("fuel_reports", ("fuel_analytics",)),
    "airflow": ("airflow", ()),
}


@dataclass(frozen=True)
class Servers:
    """The servers, running or not."""

    primary: Cluster
    standby: Cluster
    analytic: Cluster

    @property
    def wal_archive(self) -> Path:
        """Where the primary puts its finished WAL."""
        return self.primary.data.parent / "wal_archive"

    def all(self) -> tuple[Cluster, Cluster, Cluster]:
        """In the order in which they are started."""
        return self.primary, self.standby, self.analytic

    def by_name(self, name: str) -> Cluster:
        """One of ``SERVERS``."""
        return dict(zip(SERVERS, self.all(), strict=True))[name]


def user() -> ServerUser | None:
    """Who runs the servers: None means the current user."""
    return server_user()


def data_folder(home: Path, user: ServerUser | None) -> Path:
    """Where the servers' data goes: below ``home``, or below /var/lib when the server user cannot reach that."""
    if reachable(home, user):
        return home / "postgres"
    return Path("/var/lib/fuel-stat") / hashlib.sha256(str(home).encode()).hexdigest()[:12]


def servers(
    folder: Path, ports: Mapping[str, int], secrets: Mapping[str, str], wanted: str | None
) -> Servers:
    """The cluster objects for data below ``folder``.

    Raises:
        OperatorError: ``postgres_unsupported``, ``postgres_missing``, ``no_server_user``.
    """
    user = server_user()
    binaries = _binaries_for(folder, wanted)
    if user is not None:
        folder.mkdir(parents=True, exist_ok=True)
        binaries = reachable_binaries(binaries, user, folder)

    def cluster(name: str, roles: tuple[str, ...]) -> Cluster:
        passwords = {role: secrets[_SECRETS[role]] for role in roles}
        password = secrets["POSTGRES_PASSWORD"]
        return Cluster(name, folder / name, ports[name], binaries, password, user, passwords)

    return Servers(
        cluster("primary", COLLECTOR_ROLES),
        cluster("standby", COLLECTOR_ROLES),
        cluster("analytic", ANALYTIC_ROLES),
    )


def _binaries_for(folder: Path, wanted: str | None) -> Binaries:
    """Programs that fit the data that is there already."""
    found = find_binaries(wanted)
    try:
        major = int((folder / "primary" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return found
    if found.major == major:
        return found
    for candidate in (f"/usr/lib/postgresql/{major}/bin", None):
        try:
            return find_binaries(candidate) if candidate else wheel_binaries(major)
        except OperatorError:
            continue
    sentence = (
        f"The data in {folder} is of Postgres {major}, and only {found.major} is here: install Postgres {major}, "
        "or start over with `make reset`."
    )
    raise OperatorError("postgres_unsupported", sentence)


def start(these: Servers, say: Callable[[str], None]) -> None:
    """Start what is not running, making it first where it does not exist; then roles, databases and migrations."""
    with ThreadPoolExecutor(2) as pool:
        analytic = pool.submit(_start_one, these.analytic, ANALYTIC_SETTINGS)
        _make_archive(these)
        _start_one(these.primary, _primary_settings(these))
        _wait_writable(these.primary)
        ensure_roles(these.primary.dsn("postgres"), these.primary.passwords)
        _make_once(these.standby, lambda: make_standby(these.primary, these.standby))
        _start_one(these.standby, COLLECTOR_SETTINGS)
        analytic.result()
    say("applying migrations")
    _prepare_collector(these.primary)
    _prepare_analytic(these.analytic)


def _primary_settings(these: Servers) -> dict[str, str | int]:
    """The collector's settings and the WAL archive: a segment is copied beside and then renamed, so none is half."""
    archive = these.wal_archive
    return {
        **COLLECTOR_SETTINGS,
        "archive_mode": "on",
        "archive_timeout": "5min",
        "archive_command": (
            f'test ! -f "{archive}/%f" && cp "%p" "{archive}/.%f" && mv "{archive}/.%f" "{archive}/%f"'
        ),
    }


def _wait_writable(primary: Cluster, timeout: float = 300.0) -> None:
    """A restored primary answers readers while it still replays its archive: wait until it takes writes.

    Raises:
        OperatorError: ``primary_in_recovery``.
    """
    with psycopg.connect(primary.dsn("postgres"), autocommit=True) as connection:
        deadline = time.monotonic() + timeout
        while connection.execute("select pg_is_in_recovery()").fetchone() != (False,):
            if time.monotonic() > deadline:
                sentence = f"The primary still recovers after {timeout:.0f} s: see `fuel-stat logs primary`."
                raise OperatorError("primary_in_recovery", sentence)
            time.sleep(0.2)


def _start_one(cluster: Cluster, settings: Mapping[str, str | int]) -> None:
    _make_once(cluster, lambda: cluster.initialise(settings))
    if not cluster.is_running():
        cluster.configure(settings)
        cluster.start()


def _make_archive(these: Servers) -> None:
    these.wal_archive.mkdir(parents=True, exist_ok=True)
    if these.primary.user:
        these.primary.user.own(these.wal_archive)


def _make_once(cluster: Cluster, make: Callable[[], None]) -> None:
    """Make the data folder unless it was made completely: what an interrupted attempt left is thrown away."""
    made = cluster.data.with_suffix(".made")
    if made.exists() and cluster.exists():
        return
    cluster.destroy()
    make()
    made.touch()


def _prepare_collector(primary: Cluster) -> None:
    superuser = primary.dsn("postgres")
    ensure_database(superuser, "collector", "fuel_admin")
    _allow(primary, "collector", COLLECTOR_ROLES)
    _migrate(primary, "collector")


def _prepare_analytic(analytic: Cluster) -> None:
    superuser = analytic.dsn("postgres")
    ensure_roles(superuser, analytic.passwords)
    for database, (owner, others) in _ANALYTIC_DATABASES.items():
        ensure_database(superuser, database, owner)
        _allow(analytic, database, (owner, *others))
    _migrate(analytic, "analytic")


def _migrate(cluster: Cluster, database: Literal["collector", "analytic"]) -> None:
    from fuel_stat import migrations  # noqa: PLC0415 - half a second that only `up` has to wait for

    dsn = cluster.dsn(database)
    if migrations.current_revision(dsn) != migrations.newest_revision(database):
        migrations.upgrade(dsn, database)


def _allow(cluster: Cluster, database: str, roles: tuple[str, ...]) -> None:
    """Nobody but these roles may connect to the database."""
    name = sql.Identifier(database)
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("revoke all on database {} from public").format(name))
        for role in roles:
            grant = sql.SQL("grant connect, temporary on database {} to {}")
            connection.execute(grant.format(name, sql.Identifier(role)))


def adopt_password(these: Servers) -> None:
    """Give the servers a superuser's password that was made anew, after the old one was lost.

    Nobody can sign in any more: the servers are stopped and the password is set in single-user mode. The standby,
    which signs in at the primary with a lost password too, is made anew by the next start.

    Raises:
        OperatorError: ``password_not_set``.
    """
    stop(these)
    for cluster in (these.primary, these.analytic):
        if not cluster.exists():
            continue  # it is made with that password
        statement = f"alter role postgres password '{cluster.superuser_password}'\n"
        command = [cluster.binaries.program("postgres"), "--single", "-D", str(cluster.data), "postgres"]
        done = run_as(command, cluster.user, cwd=cluster.data.parent, input=statement)
        if done.returncode != 0:
            sentence = f"{cluster.name}: the password could not be set: {done.stderr.strip()[-300:]}"
            raise OperatorError("password_not_set", sentence)
    these.standby.data.with_suffix(".made").unlink(missing_ok=True)


def stop(these: Servers) -> None:
    """Stop the servers: the readers' side first."""
    for cluster in (these.analytic, these.standby, these.primary):
        if cluster.exists():
            cluster.stop()


def rebuild(these: Servers) -> None:
    """Make the standby anew from the running primary."""
    these.standby.data.with_suffix(".made").unlink(missing_ok=True)
    rebuild_standby(these.primary, these.standby)
    these.standby.data.with_suffix(".made").touch()
    _start_one(these.standby, COLLECTOR_SETTINGS)


def standby_streams(standby: Cluster) -> bool:
    """Whether the standby receives from the primary; one that only answers falls behind for ever."""
    with psycopg.connect(standby.dsn("postgres"), connect_timeout=5) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_wal_receiver where status = 'streaming'"
        ).fetchone()
    return bool(row and row[0])


def standby_slot_lost(primary: Cluster) -> bool:
    """Whether the primary gave up keeping WAL for the standby: then only a rebuild helps."""
    with psycopg.connect(primary.dsn("postgres"), connect_timeout=5) as connection:
        query = "select bool_or(wal_status = 'lost') from pg_replication_slots where slot_type = 'physical'"
        row = connection.execute(query).fetchone()
    return bool(row and row[0])
