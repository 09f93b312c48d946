"""Warehouses for the tests of the marts: one built from the recorded tables, one empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fuel_stat.postgres import Cluster, ensure_database
from tests.integration.dbt import golden
from tests.integration.dbt.warehouse import Warehouse, opened

GOLDEN_NOW = "2016-05-31 23:59:59"


def database(cluster: Cluster, name: str) -> Iterator[str]:
    """The address of a fresh, migrated analytic database, dropped in the end."""
    ensure_database(cluster.dsn("postgres"), name, "fuel_warehouse", template="analytic_template")
    yield cluster.dsn(name, "fuel_warehouse")
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def golden_dsn(analytic_cluster: Cluster) -> Iterator[str]:
    """A database for the recorded tables."""
    yield from database(analytic_cluster, "dbt_golden")


@pytest.fixture(scope="session")
def golden_warehouse(
    golden_dsn: str, recorded: Path, pepper: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """The recorded tables of an original collector, imported and built, with all data tests passed."""
    golden.land(golden_dsn, recorded, pepper)
    with opened(golden_dsn, tmp_path_factory.mktemp("dbt_golden")) as warehouse:
        built = warehouse.dbt("build", "--exclude-resource-types", "unit_test", as_of=GOLDEN_NOW)
        assert built.success, built.errors
        yield warehouse


@pytest.fixture(scope="session")
def history_dsn(analytic_cluster: Cluster) -> Iterator[str]:
    """A database for made-up histories."""
    yield from database(analytic_cluster, "dbt_history")


@pytest.fixture(scope="session")
def history_warehouse(history_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse with nothing but the rules of filtering in it."""
    with opened(history_dsn, tmp_path_factory.mktemp("dbt_history")) as warehouse:
        built = warehouse.dbt("seed")
        assert built.success, built.errors
        yield warehouse
