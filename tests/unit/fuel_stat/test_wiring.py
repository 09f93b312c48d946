"""What each service is told, and what it is not."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.stack import secrets, summary
from fuel_stat.stack.environment import QUIET, Wiring
from fuel_stat.stack.layout import Layout
from fuel_stat.stack.services import AIRFLOW, airflow_services
from fuel_stat.stack.settings import USUAL_PORTS

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    """A wiring with generated secrets."""
    return Wiring(
        Layout(tmp_path), USUAL_PORTS, secrets.ensure(tmp_path, data_exists=False), tmp_path / "data"
    )


def passwords_in(environment: dict[str, str], wiring: Wiring) -> set[str]:
    """Names of the secrets that occur in an environment."""
    text = "\n".join(environment.values())
    return {name for name, value in wiring.secrets.items() if value in text}


@pytest.mark.parametrize(
    ("service", "allowed"),
    [
        ("ingest", {"INGEST_PASSWORD"}),
        ("analytics", {"ANALYTICS_PASSWORD", "REPORTS_PASSWORD", "PEPPER"}),
        ("reports", {"ANALYTICS_PASSWORD", "REPORTS_PASSWORD", "PEPPER"}),
    ],
)
def test_a_service_gets_only_its_own_credentials(wiring: Wiring, service: str, allowed: set[str]) -> None:
    """The collector cannot read the warehouse, the analytics API cannot write anywhere."""
    assert passwords_in(wiring.service(service), wiring) == allowed


def test_airflow_gets_connections_but_never_the_superuser(wiring: Wiring) -> None:
    """DAGs reach databases by connection id, as roles with least privilege."""
    environment = wiring.service("airflow-scheduler")
    connection = json.loads(environment["AIRFLOW_CONN_COLLECTOR_STANDBY"])
    assert (connection["login"], connection["schema"]) == ("fuel_extract", "collector")
    assert json.loads(environment["AIRFLOW_CONN_PSEUDONYM_PEPPER"])["password"] == wiring.secrets["PEPPER"]
    assert "POSTGRES_PASSWORD" not in passwords_in(environment, wiring)
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")


def test_a_callers_airflow_does_not_leak_into_ours(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who has another Airflow configured gets ours all the same; options of ours pass."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("FUEL_STAT_INGEST_WORKERS", "3")
    environment = wiring.service("airflow-scheduler")
    assert "AIRFLOW__CORE__EXECUTOR" not in environment
    assert environment["FUEL_STAT_INGEST_WORKERS"] == "3"


def test_the_collector_watches_the_databases_disk_and_listens_on_loopback(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readiness looks at the disk that fills; what an operator binds besides is added, and loopback stays."""
    environment = wiring.service("ingest")
    assert environment["FUEL_STAT_INGEST_DISK_PATH"] == str(wiring.data)
    assert environment["FUEL_STAT_INGEST_PLAIN_BIND"] == "127.0.0.1:8001"
    assert environment["FUEL_STAT_INGEST_BIND"] == ""
    monkeypatch.setenv("FUEL_STAT_INGEST_BIND", "0.0.0.0:8443")
    environment = wiring.service("ingest")
    assert environment["FUEL_STAT_INGEST_BIND"] == "0.0.0.0:8443"
    assert environment["FUEL_STAT_INGEST_PLAIN_BIND"] == "127.0.0.1:8001"


def test_everything_that_could_phone_home_is_told_not_to(wiring: Wiring) -> None:
    """Each service's environment carries every package's own switch, and Airflow's file sets its own."""
    for service in ("ingest", "analytics", "reports", *AIRFLOW):
        assert QUIET.items() <= wiring.service(service).items()
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "airflow.cfg")
    assert (
        config["metrics"]["statsd_on"]
        == config["metrics"]["otel_on"]
        == config["traces"]["otel_on"]
        == "False"
    )
    assert config["sentry"]["sentry_on"] == "False"


def test_airflow_binds_loopback_and_serves_no_logs(wiring: Wiring) -> None:
    """The log servers of scheduler and triggerer would listen on all interfaces."""
    commands = {service.name: list(service.command) for service in airflow_services(wiring)}
    assert set(commands) == set(AIRFLOW)
    assert "127.0.0.1" in commands["airflow-api-server"]
    assert "--skip-serve-logs" in commands["airflow-scheduler"]
    assert "--skip-serve-logs" in commands["airflow-triggerer"]


def test_airflow_cfg_names_nothing_of_a_machine() -> None:
    """Paths, ports and passwords come from the environment: the file is the same everywhere."""
    text = (REPOSITORY / "airflow.cfg").read_text()
    values = [line.split("=", 1)[1].strip() for line in text.splitlines() if re.match(r"[a-z_]+ =", line)]
    assert not [value for value in values if value.startswith("/") or "://" in value or "password" in value]


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    """The same secrets are found again, in a file that only its owner reads."""
    first = secrets.ensure(tmp_path, data_exists=False)
    assert secrets.ensure(tmp_path, data_exists=True) == first
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert len(set(first.values())) == len(first)


def test_a_lost_pepper_is_never_replaced_silently(tmp_path: Path) -> None:
    """With data there and the secrets gone, a new pepper would make every installation a new one."""
    with pytest.raises(OperatorError) as caught:
        secrets.ensure(tmp_path, data_exists=True)
    assert caught.value.code == "secrets_lost"
    assert not (tmp_path / "secrets.env").exists()


def test_up_ends_with_the_address_of_every_surface(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Collector, page, the audits' and models' documentation, Airflow with its login, each server."""
    monkeypatch.setattr(summary, "_numbers", lambda _: "")
    shown = summary.text(SimpleNamespace(wiring=wiring, layout=wiring.layout), [])  # type: ignore[arg-type]
    page = wiring.url("analytics")
    for address in (wiring.url("ingest"), f"{page}/data-docs/", f"{page}/dbt-docs/", wiring.url("airflow")):
        assert address in shown
    assert f"password {wiring.secrets['AIRFLOW_ADMIN_PASSWORD']}" in shown
    assert wiring.secrets["PEPPER"] not in shown
