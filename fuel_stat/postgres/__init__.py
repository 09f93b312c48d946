"""Postgres clusters on this machine: found or shipped binaries, a primary, its streaming standby, their addresses."""

from fuel_stat.postgres.binaries import Binaries, find_binaries, wheel_binaries
from fuel_stat.postgres.cluster import Cluster, free_port
from fuel_stat.postgres.dsn import Dsn, sqlalchemy_url
from fuel_stat.postgres.owner import ServerUser, reachable, server_user
from fuel_stat.postgres.roles import COLLECTOR_ROLES, ensure_database, ensure_roles
from fuel_stat.postgres.standby import make_standby, rebuild_standby, replay_lag_seconds

__all__ = [
    "COLLECTOR_ROLES",
    "Binaries",
    "Cluster",
    "Dsn",
    "ServerUser",
    "ensure_database",
    "ensure_roles",
    "find_binaries",
    "free_port",
    "make_standby",
    "reachable",
    "rebuild_standby",
    "replay_lag_seconds",
    "server_user",
    "sqlalchemy_url",
    "wheel_binaries",
]
