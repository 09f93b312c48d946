"""Fixtures that every test may use: real clusters, fresh databases, the recorded traffic.

The clusters are made once a run (their data folders are copied from one initdb), bind to loopback only and stop by
themselves when the test process ends, however it ends.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fuel_stat import migrations
from fuel_stat.postgres import (
    Binaries,
    Cluster,
    ensure_database,
    ensure_roles,
    find_binaries,
    free_port,
    make_standby,
    server_user,
)
from fuel_stat.postgres.owner import reachable_binaries
from fuel_stat.postgres.roles import ANALYTIC_ROLES, COLLECTOR_ROLES

REPOSITORY = Path(__file__).resolve().parent.parent
PASSWORD = "test-" + secrets.token_hex(8)
# fsync guards against power cuts, not against kills: the tests kill processes only.
PRIMARY_SETTINGS: dict[str, str | int] = {
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": 60,
    "wal_level": "replica",
    "max_wal_senders": 8,
    "max_replication_slots": 8,
    "max_slot_wal_keep_size": "512MB",
    "hot_standby": "on",
    "max_standby_streaming_delay": "5s",
    "wal_receiver_status_interval": "1s",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Pair:
    """A database on a primary and its streaming standby."""

    primary: Cluster
    standby: Cluster
    database: str

    def dsn(self, role: str = "postgres", *, standby: bool = False) -> str:
        """The address for a role: postgres, fuel_admin, fuel_ingest, fuel_extract or fuel_backup."""
        return (self.standby if standby else self.primary).dsn(self.database, role)

    def wait_replayed(self, timeout: float = 30.0) -> None:
        """Wait until the standby has replayed all that the primary has written so far."""
        with psycopg.connect(self.primary.dsn("postgres"), autocommit=True) as connection:
            # A commit flushes all that is before it: the end of a transaction that wrote nothing would come late.
            connection.execute("select pg_logical_emit_message(true, 'wait', '')")
            lsn = connection.execute("select pg_current_wal_lsn()").fetchone()[0]  # type: ignore[index]
        with psycopg.connect(self.standby.dsn("postgres"), autocommit=True) as connection:
            for _ in range(int(timeout / 0.02)):
                row = connection.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone()
                if row and row[0]:
                    return
                connection.execute("select pg_sleep(0.02)")
        raise AssertionError("the standby did not catch up in time")


@dataclass(frozen=True)
class AnalyticDb:
    """A migrated analytic database."""

    cluster: Cluster
    database: str

    def dsn(self, role: str = "postgres") -> str:
        """The address for a role: postgres, fuel_warehouse, fuel_analytics, fuel_reports or airflow."""
        return self.cluster.dsn(self.database, role)


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The traffic recorded from real nodes; tests that need it skip where it is absent."""
    path = Path(os.environ.get("FUEL_STAT_RECORDED") or REPOSITORY.parent / "shared" / "data")
    if (path / "nailgun").is_dir():
        return path
    if os.environ.get("REQUIRE_RECORDED") == "1":
        pytest.fail(f"REQUIRE_RECORDED=1 and the recorded traffic is not at {path}")
    pytest.skip(f"the recorded traffic is not at {path} (FUEL_STAT_RECORDED says where)")


@pytest.fixture(scope="session")
def pepper() -> bytes:
    """The secret of the pseudonyms in tests."""
    return bytes(range(32))


@pytest.fixture(scope="session")
def clusters_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the server user can reach."""
    folder = Path("/tmp") / f"fuel-stat-test-{os.getpid()}-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o755)
    user = server_user()
    if user:
        os.chown(folder, user.uid, user.gid)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def binaries(clusters_folder: Path) -> Binaries:
    """The Postgres programs under test (FUEL_STAT_PG_BIN: a folder, ``wheel``, ``wheel16``, ``wheel18``)."""
    return reachable_binaries(
        find_binaries(os.environ.get("FUEL_STAT_PG_BIN")), server_user(), clusters_folder
    )


@pytest.fixture(scope="session")
def initialised(clusters_folder: Path, binaries: Binaries) -> Path:
    """A data folder fresh from initdb, to be copied."""
    cluster = Cluster("template", clusters_folder / "template", 1, binaries, PASSWORD, server_user())
    cluster.initialise(PRIMARY_SETTINGS)
    return cluster.data


def new_cluster(name: str, folder: Path, binaries: Binaries, roles: tuple[str, ...]) -> Cluster:
    """A cluster object with a free port; its data folder is still to be made."""
    passwords = dict.fromkeys(roles, PASSWORD)
    data = folder / f"{name}-{next(_numbers)}"
    return Cluster(name, data, free_port(), binaries, PASSWORD, server_user(), passwords)


def copy_initialised(cluster: Cluster, initialised: Path) -> None:
    """Give the cluster a copy of the template's data folder."""
    shutil.copytree(initialised, cluster.data)
    if cluster.user:
        cluster.user.own(cluster.data)
    cluster.data.chmod(0o700)


def start_pair(folder: Path, binaries: Binaries, initialised: Path, name: str) -> tuple[Cluster, Cluster]:
    """A running primary with the roles and the migrated database ``collector_template``, and its standby."""
    primary = new_cluster(f"{name}_primary", folder, binaries, COLLECTOR_ROLES)
    copy_initialised(primary, initialised)
    primary.start(tied=True)
    ensure_roles(primary.dsn("postgres"), primary.passwords)
    ensure_database(primary.dsn("postgres"), "collector_template", "fuel_admin")
    migrations.upgrade(primary.dsn("collector_template"), "collector")
    standby = new_cluster(f"{name}_standby", folder, binaries, COLLECTOR_ROLES)
    make_standby(primary, standby)
    standby.start(tied=True)
    return primary, standby


@pytest.fixture(scope="session")
def session_pair(
    clusters_folder: Path, binaries: Binaries, initialised: Path
) -> Iterator[tuple[Cluster, Cluster]]:
    """The primary and standby that tests share; each takes a database of its own."""
    primary, standby = start_pair(clusters_folder, binaries, initialised, "shared")
    yield primary, standby
    standby.stop("immediate")
    primary.stop("immediate")


@pytest.fixture
def collector_pair(session_pair: tuple[Cluster, Cluster]) -> Iterator[Pair]:
    """A fresh collector database on the shared primary and standby."""
    primary, standby = session_pair
    database = f"collector_{next(_numbers)}"
    ensure_database(primary.dsn("postgres"), database, "fuel_admin", template="collector_template")
    pair = Pair(primary, standby, database)
    pair.wait_replayed()
    yield pair
    drop_database(primary, database)


@pytest.fixture
def own_pair(clusters_folder: Path, binaries: Binaries, initialised: Path) -> Iterator[Pair]:
    """A primary and standby of the test's own, to be killed, stopped and promoted at will."""
    primary, standby = start_pair(clusters_folder, binaries, initialised, "own")
    ensure_database(primary.dsn("postgres"), "collector", "fuel_admin", template="collector_template")
    pair = Pair(primary, standby, "collector")
    pair.wait_replayed()
    yield pair
    standby.destroy()
    primary.destroy()


@pytest.fixture(scope="session")
def analytic_cluster(clusters_folder: Path, binaries: Binaries, initialised: Path) -> Iterator[Cluster]:
    """The analytic server that tests share, with the migrated database ``analytic_template``."""
    cluster = new_cluster("analytic", clusters_folder, binaries, ANALYTIC_ROLES)
    copy_initialised(cluster, initialised)
    cluster.start(tied=True)
    ensure_roles(cluster.dsn("postgres"), cluster.passwords)
    ensure_database(cluster.dsn("postgres"), "analytic_template", "fuel_warehouse")
    migrations.upgrade(cluster.dsn("analytic_template"), "analytic")
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def analytic_db(analytic_cluster: Cluster) -> Iterator[AnalyticDb]:
    """A fresh, migrated analytic database."""
    database = f"analytic_{next(_numbers)}"
    superuser = analytic_cluster.dsn("postgres")
    ensure_database(superuser, database, "fuel_warehouse", template="analytic_template")
    yield AnalyticDb(analytic_cluster, database)
    drop_database(analytic_cluster, database)


def drop_database(cluster: Cluster, database: str) -> None:
    """Drop a test's database, whoever is still connected."""
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database))
        )
