"""Airflow's own preparation: its password file and its metadata schema."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from typing import Any

import psycopg

from fuel_stat.errors import FuelStatError
from fuel_stat.stack.environment import Wiring
from fuel_stat.state import write_atomically

USER = "admin"


class AirflowSetupError(FuelStatError):
    """Airflow could not be prepared or did not become healthy."""


def prepare(wiring: Wiring, state: dict[str, Any]) -> None:
    """Write the password file and bring the metadata to this Airflow's schema, when it is not there yet.

    The version of the last migration is remembered in ``state["airflow_schema"]``: asking Airflow takes seconds.

    Raises:
        AirflowSetupError: ``airflow_migration_failed``.
    """
    passwords = json.dumps({USER: wiring.secrets["AIRFLOW_ADMIN_PASSWORD"]}) + "\n"
    write_atomically(wiring.layout.airflow / "passwords.json", passwords, mode=0o600)
    version = importlib.metadata.version("apache-airflow-core")
    if state.get("airflow_schema") == version and _has_schema(wiring):
        return
    log = wiring.layout.logs / "airflow-migration.log"
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=wiring.service("airflow-migration"),
            cwd=wiring.layout.repository,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        sentence = f"`airflow db migrate` ended with {done.returncode}: see {log}."
        raise AirflowSetupError("airflow_migration_failed", sentence)
    state["airflow_schema"] = version


def _has_schema(wiring: Wiring) -> bool:
    """Whether the metadata has tables: the server may have been made anew since."""
    with psycopg.connect(wiring.dsn("airflow"), connect_timeout=10) as connection:
        row = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
    return bool(row and row[0])
