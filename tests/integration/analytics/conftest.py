"""Published marts of the sample, once a run, and servers that read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fuel_stat.postgres import Cluster, ensure_database
from tests.conftest import AnalyticDb, drop_database
from tests.integration.analytics import golden, publishing, sample
from tests.integration.analytics.publishing import RawRecord
from tests.integration.analytics.server import Server, environment, running

_numbers = itertools.count(1)


def sample_records() -> Iterator[RawRecord]:
    """The sample as extraction would leave it."""
    for uid, structure in sample.STRUCTURES.items():
        yield RawRecord("installation_structure", uid, sample.FIRST_DAY, structure)
    for kind, records in (("action_logs", sample.ACTIONS), ("oswl_stats", sample.WORKLOADS)):
        for uid, sent in records.items():
            for record in sent:
                yield RawRecord(kind, uid, sample.LAST_DAY, record)


@pytest.fixture(scope="session")
def sample_db(
    analytic_cluster: Cluster, pepper: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnalyticDb]:
    """A database with the sample published once. Tests that change it take a copy: ``own_sample_db``."""
    database = AnalyticDb(analytic_cluster, "analytics_sample")
    ensure_database(
        analytic_cluster.dsn("postgres"), database.database, "fuel_warehouse", template="analytic_template"
    )
    dsn = database.dsn("fuel_warehouse")
    days = [sample.FIRST_DAY, sample.FIRST_DAY + timedelta(days=1), sample.LAST_DAY]
    load_id = publishing.load(dsn, pepper, sample_records(), dict.fromkeys(sample.STRUCTURES, days))
    decisions = {uid: uid in sample.FILTERED for uid in sample.STRUCTURES}
    publishing.decide(dsn, pepper, dict(decisions), load_id)
    publishing.publish_build(dsn, tmp_path_factory.mktemp("dbt"))
    yield database
    drop_database(analytic_cluster, database.database)


@pytest.fixture
def own_sample_db(sample_db: AnalyticDb) -> Iterator[AnalyticDb]:
    """A copy of the published sample, to be changed."""
    copy = AnalyticDb(sample_db.cluster, f"analytics_copy_{next(_numbers)}")
    superuser = sample_db.cluster.dsn("postgres")
    publishing.disconnect(superuser, sample_db.database)
    ensure_database(superuser, copy.database, "fuel_warehouse", template=sample_db.database)
    yield copy
    drop_database(sample_db.cluster, copy.database)


@pytest.fixture(scope="session")
def reports_dsn(analytic_cluster: Cluster) -> Iterator[str]:
    """An empty database for the queue of reports."""
    name = "analytics_reports"
    ensure_database(analytic_cluster.dsn("postgres"), name, "fuel_reports")
    yield analytic_cluster.dsn(name, "fuel_reports")
    drop_database(analytic_cluster, name)


@pytest.fixture(scope="session")
def environ(
    sample_db: AnalyticDb, reports_dsn: str, pepper: bytes, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a service on the sample."""
    home = tmp_path_factory.mktemp("home")
    return environment(sample_db.dsn("fuel_analytics"), reports_dsn, pepper, home, WEB_CONCURRENCY="2")


@pytest.fixture(scope="session")
def api(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API on the sample, shared by the tests that only read."""
    with running(environ, tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test keeps logs of its own servers."""
    return tmp_path


@pytest.fixture(scope="session")
def golden_api(
    analytic_cluster: Cluster, pepper: bytes, recorded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The API on marts that dbt built from the golden tables."""
    database = AnalyticDb(analytic_cluster, "analytics_golden")
    ensure_database(
        analytic_cluster.dsn("postgres"), database.database, "fuel_warehouse", template="analytic_template"
    )
    dsn = database.dsn("fuel_warehouse")
    load_id = publishing.load(dsn, pepper, golden.records(recorded), golden.contacts(recorded))
    publishing.decide(dsn, pepper, golden.decisions(recorded), load_id)
    publishing.publish_build(dsn, tmp_path_factory.mktemp("dbt_golden"))
    folder = tmp_path_factory.mktemp("golden")
    with running(environment(database.dsn("fuel_analytics"), "", pepper, folder), folder) as server:
        yield server
    drop_database(analytic_cluster, database.database)
