"""What the operator may choose about the local stack."""

from __future__ import annotations

from dataclasses import dataclass

from fuel_stat.settings import option


@dataclass(frozen=True)
class Settings:
    """Options of ``fuel-stat up``. A port of 0 means: the usual one, or a free one when that is taken.

    A port that is set explicitly is binding: when it is taken, ``up`` says so instead of choosing another.
    """

    ingest_port: int = option("FUEL_STAT_INGEST_PORT", 0, "Port of the collector (0: 8001, or a free one).")
    analytics_port: int = option(
        "FUEL_STAT_ANALYTICS_PORT", 0, "Port of the analytics API and page (0: 8002, or a free one)."
    )
    airflow_port: int = option(
        "FUEL_STAT_AIRFLOW_PORT", 0, "Port of Airflow's page and API (0: 8080, or a free one)."
    )
    primary_port: int = option(
        "FUEL_STAT_PRIMARY_PORT", 0, "Port of the collector's primary (0: 54321, or a free one)."
    )
    standby_port: int = option(
        "FUEL_STAT_STANDBY_PORT", 0, "Port of the collector's standby (0: 54322, or a free one)."
    )
    analytic_port: int = option(
        "FUEL_STAT_ANALYTIC_PORT", 0, "Port of the analytic server (0: 54323, or a free one)."
    )
    pg_bin: str = option(
        "FUEL_STAT_PG_BIN",
        "",
        "Folder of Postgres programs, or `wheel` (empty: an installed one, else the wheel's).",
    )
    any_port: bool = option(
        "FUEL_STAT_ANY_PORT",
        False,
        "Choose free ports for everything, as tests do, instead of the usual ones.",
    )
    without: str = option(
        "FUEL_STAT_WITHOUT",
        "",
        "Services that `up` leaves out, by comma: ingest, analytics, reports, airflow.",
    )
    start_timeout: float = option(
        "FUEL_STAT_START_TIMEOUT", 180.0, "Seconds to wait until every service answers its health check."
    )
    stop_timeout: float = option(
        "FUEL_STAT_STOP_TIMEOUT", 15.0, "Seconds a process has to stop by itself before it is killed."
    )
    pipeline_timeout: float = option(
        "FUEL_STAT_PIPELINE_TIMEOUT", 900.0, "Seconds to wait for a pipeline run that is followed."
    )
    parent_pid: int = option(
        "FUEL_STAT_PARENT_PID",
        0,
        "When set, the stack stops by itself once this process has gone (used by tests).",
    )
    demo_nodes: int = option(
        "FUEL_STAT_DEMO_NODES", 60, "How many nodes the demonstration's simulated fleet has."
    )
    demo_seed: int = option("FUEL_STAT_DEMO_SEED", 1, "Seed of the demonstration's simulated fleet.")

    @property
    def left_out(self) -> frozenset[str]:
        """The services of ``without``."""
        return frozenset(name.strip() for name in self.without.split(",") if name.strip())


#: Service name to its usual port.
USUAL_PORTS: dict[str, int] = {
    "primary": 54321,
    "standby": 54322,
    "analytic": 54323,
    "ingest": 8001,
    "analytics": 8002,
    "airflow": 8080,
}
