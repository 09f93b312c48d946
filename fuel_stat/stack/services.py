"""The processes of the stack beside Postgres: what is run, and how one sees that it is well."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fuel_stat.errors import OperatorError
from fuel_stat.stack.environment import Wiring
from fuel_stat.stack.ports import LOOPBACK

#: What FUEL_STAT_WITHOUT may name.
LEFT_OUT = frozenset({"ingest", "analytics", "reports", "airflow"})
#: The names of Airflow's processes.
AIRFLOW = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@dataclass(frozen=True)
class Service:
    """A process to run. ``health`` is the path that answers 200 when it is well, where it speaks HTTP."""

    name: str
    command: Sequence[str]
    port: str | None = None
    health: str | None = None


def present(module: str) -> bool:
    """Whether a module is there, without importing more than its parent package."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def services(wiring: Wiring, left_out: frozenset[str]) -> list[Service]:
    """Everything that ``up`` starts, in the order of starting.

    Raises:
        OperatorError: ``unknown_service`` when something is left out that there is not.
    """
    if unknown := left_out - LEFT_OUT:
        sentence = f"FUEL_STAT_WITHOUT names {', '.join(sorted(unknown))}; it may name {', '.join(sorted(LEFT_OUT))}."
        raise OperatorError("unknown_service", sentence)
    return [service for service in _all(wiring) if service.name.split("-")[0] not in left_out]


def _all(wiring: Wiring) -> list[Service]:
    found = []
    if present("ingest_api.wsgi"):
        found.append(_wsgi(wiring, "ingest", "ingest_api", "/readyz"))
    if present("analytics_api.wsgi"):
        found.append(_wsgi(wiring, "analytics", "analytics_api", "/readyz"))
    if present("analytics_api.worker"):
        found.append(Service("reports", [sys.executable, "-m", "analytics_api.worker"]))
    return found + airflow_services(wiring)


def airflow_services(wiring: Wiring) -> list[Service]:
    """Airflow's four processes. None serves logs: those servers would listen on all interfaces."""
    airflow = [sys.executable, "-m", "airflow"]
    port = str(wiring.ports["airflow"])
    return [
        Service(
            "airflow-api-server",
            [*airflow, "api-server", "--host", LOOPBACK, "--port", port],
            "airflow",
            "/api/v2/monitor/health",
        ),
        Service("airflow-scheduler", [*airflow, "scheduler", "--skip-serve-logs"]),
        Service("airflow-dag-processor", [*airflow, "dag-processor"]),
        Service("airflow-triggerer", [*airflow, "triggerer", "--skip-serve-logs"]),
    ]


def _wsgi(wiring: Wiring, name: str, package: str, health: str) -> Service:
    command = [sys.executable, "-m", "gunicorn"]
    # Where the collector listens is in its environment: an operator may add addresses with TLS.
    if name != "ingest":
        command += ["--bind", f"{LOOPBACK}:{wiring.ports[name]}"]
    configuration = wiring.layout.repository / package / "gunicorn_conf.py"
    if configuration.exists():
        command += ["--config", str(configuration)]
    return Service(name, [*command, f"{package}.wsgi:application"], name, health)
