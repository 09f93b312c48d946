"""What each service is told: data source names, addresses and secrets as environment variables."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fuel_stat.stack.layout import Layout
from fuel_stat.stack.ports import LOOPBACK

#: Nothing that we run reports to anybody. Each line is one package's own switch.
QUIET: Mapping[str, str] = {
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "SCARF_NO_ANALYTICS": "true",
    "SCARF_ANALYTICS": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "OTEL_SDK_DISABLED": "true",
    "NEXT_TELEMETRY_DISABLED": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}

#: Roles and the databases that services use them for: name of the DSN to (role, secret, server, database).
_DSNS: Mapping[str, tuple[str, str, str, str]] = {
    "collector_primary": ("fuel_admin", "ADMIN_PASSWORD", "primary", "collector"),
    "collector_ingest": ("fuel_ingest", "INGEST_PASSWORD", "primary", "collector"),
    "collector_standby": ("fuel_extract", "EXTRACT_PASSWORD", "standby", "collector"),
    "collector_backup": ("fuel_backup", "BACKUP_PASSWORD", "standby", "collector"),
    "analytic": ("fuel_warehouse", "WAREHOUSE_PASSWORD", "analytic", "analytic"),
    "analytics_reader": ("fuel_analytics", "ANALYTICS_PASSWORD", "analytic", "analytic"),
    "reports": ("fuel_reports", "REPORTS_PASSWORD", "analytic", "reports"),
    "airflow": ("airflow", "AIRFLOW_PASSWORD", "analytic", "airflow"),
}

#: Environment variable to the DSN that it carries.
_DSN_VARIABLES: Mapping[str, str] = {
    "FUEL_STAT_INGEST_DSN": "collector_ingest",
    "FUEL_STAT_COLLECTOR_ADMIN_DSN": "collector_primary",
    "FUEL_STAT_COLLECTOR_STANDBY_DSN": "collector_standby",
    "FUEL_STAT_COLLECTOR_BACKUP_DSN": "collector_backup",
    "FUEL_STAT_WAREHOUSE_DSN": "analytic",
    "FUEL_STAT_ANALYTICS_DSN": "analytics_reader",
    "FUEL_STAT_REPORTS_DSN": "reports",
}

_AIRFLOW_CONNECTIONS = ("collector_standby", "collector_primary", "collector_backup", "analytic")


@dataclass(frozen=True)
class Wiring:
    """All that is needed to tell a service where the others are. Passwords are in ``secrets``."""

    layout: Layout
    ports: Mapping[str, int]
    secrets: Mapping[str, str] = field(repr=False)
    data: Path

    @property
    def wal_archive(self) -> Path:
        """Where the primary puts its finished WAL, for restores to a point in time."""
        return self.data / "wal_archive"

    def dsn(self, name: str, *, password: bool = True) -> str:
        """A libpq URL by name (see ``_DSNS``); without its password for showing."""
        role, secret, server, database = _DSNS[name]
        login = f"{role}:{self.secrets[secret]}" if password else role
        return f"postgresql://{login}@{LOOPBACK}:{self.ports[server]}/{database}"

    def url(self, service: str) -> str:
        """Base address of an HTTP service, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def shared(self) -> dict[str, str]:
        """Addresses, folders and data source names, as every command and service of ours reads them."""
        variables = {name: self.dsn(dsn) for name, dsn in _DSN_VARIABLES.items()}
        variables |= {f"FUEL_STAT_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return variables | {
            "FUEL_STAT_HOME": str(self.layout.home),
            "FUEL_STAT_INGEST_URL": self.url("ingest"),
            "FUEL_STAT_ANALYTICS_URL": self.url("analytics"),
            "FUEL_STAT_AIRFLOW_URL": self.url("airflow"),
            "FUEL_STAT_BACKUPS": str(self.layout.backups),
            "FUEL_STAT_REPORTS": str(self.layout.reports),
            "FUEL_STAT_WAL_ARCHIVE": str(self.wal_archive),
            "FUEL_STAT_PEPPER": self.secrets["PEPPER"],
        }

    def service(self, service: str) -> dict[str, str]:
        """The whole environment of a service: what it needs, and no credential that it does not."""
        keep = _KEEP.get(service)
        ours = self.shared()
        if keep is not None:
            ours = {name: value for name, value in ours.items() if name in keep or name not in _CREDENTIALS}
        environment = inherited() | dict(QUIET) | ours
        if service == "ingest":
            return environment | self.ingest()
        return environment | self.airflow() if service.startswith("airflow") else environment

    def ingest(self) -> dict[str, str]:
        """Where the collector listens and whose disk it watches.

        The stack itself speaks to it over loopback, in plain HTTP whatever the operator binds besides.
        """
        chosen = {
            name: os.environ.get(name) for name in ("FUEL_STAT_INGEST_BIND", "FUEL_STAT_INGEST_DISK_PATH")
        }
        return {
            "FUEL_STAT_INGEST_PLAIN_BIND": f"{LOOPBACK}:{self.ports['ingest']}",
            "FUEL_STAT_INGEST_BIND": chosen["FUEL_STAT_INGEST_BIND"] or "",
            "FUEL_STAT_INGEST_DISK_PATH": chosen["FUEL_STAT_INGEST_DISK_PATH"] or str(self.data),
        }

    def airflow(self) -> dict[str, str]:
        """Airflow's machine-specific configuration and the connections that the DAGs ask for by id."""
        role, secret, server, database = _DSNS["airflow"]
        at = f"{role}:{self.secrets[secret]}@{LOOPBACK}:{self.ports[server]}/{database}"
        settings = {
            "CORE__DAGS_FOLDER": str(self.layout.repository / "dags"),
            "CORE__PLUGINS_FOLDER": str(self.layout.airflow / "plugins"),
            "CORE__FERNET_KEY": self.secrets["AIRFLOW_FERNET_KEY"],
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.layout.airflow / "passwords.json"),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url('airflow')}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{at}",
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{at}",
            "LOGGING__BASE_LOG_FOLDER": str(self.layout.airflow / "logs"),
            "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(
                self.layout.airflow / "logs/dag_processor"
            ),
            "API__BASE_URL": self.url("airflow"),
            "API__PORT": str(self.ports["airflow"]),
            "API__SECRET_KEY": self.secrets["AIRFLOW_SECRET_KEY"],
            "API_AUTH__JWT_SECRET": self.secrets["AIRFLOW_JWT_SECRET"],
        }
        variables = {f"AIRFLOW__{name}": value for name, value in settings.items()}
        variables |= {f"AIRFLOW_CONN_{name.upper()}": self._connection(name) for name in _AIRFLOW_CONNECTIONS}
        pepper = {"conn_type": "generic", "password": self.secrets["PEPPER"]}
        return variables | {
            "AIRFLOW_HOME": str(self.layout.airflow),
            "AIRFLOW_CONFIG": str(self.layout.repository / "airflow.cfg"),
            "AIRFLOW_CONN_PSEUDONYM_PEPPER": json.dumps(pepper),
        }

    def _connection(self, name: str) -> str:
        role, secret, server, database = _DSNS[name]
        connection = {
            "conn_type": "postgres",
            "host": LOOPBACK,
            "port": self.ports[server],
            "login": role,
            "password": self.secrets[secret],
            "schema": database,
        }
        return json.dumps(connection)


#: What must not be in the environment of a service that does not need it.
_CREDENTIALS = frozenset({*_DSN_VARIABLES, "FUEL_STAT_PEPPER"})

#: The credentials a service keeps; services that are not named keep all.
_KEEP: Mapping[str, frozenset[str]] = {
    "ingest": frozenset({"FUEL_STAT_INGEST_DSN"}),
    "analytics": frozenset({"FUEL_STAT_ANALYTICS_DSN", "FUEL_STAT_REPORTS_DSN", "FUEL_STAT_PEPPER"}),
    "reports": frozenset({"FUEL_STAT_ANALYTICS_DSN", "FUEL_STAT_REPORTS_DSN", "FUEL_STAT_PEPPER"}),
    # DAGs get connections by id, and only those.
    "airflow-api-server": frozenset(),
    "airflow-scheduler": frozenset(),
    "airflow-dag-processor": frozenset(),
    "airflow-triggerer": frozenset(),
}


def inherited() -> dict[str, str]:
    """The caller's environment with this virtual environment's programs first on the PATH.

    An operator's options (``FUEL_STAT_…``) reach every service. Another Airflow's settings stay out, and so do
    credentials: the stack's own wiring decides.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW")) and name not in _CREDENTIALS
    }
    programs = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join([programs, kept.get("PATH", "/usr/bin:/bin")])
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
