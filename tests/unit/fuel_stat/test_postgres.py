"""Choosing Postgres programs, addresses, migrations' files."""

from __future__ import annotations

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.migrations import SQL_FOLDER
from fuel_stat.postgres import Dsn, find_binaries, sqlalchemy_url, wheel_binaries


def test_an_unsupported_postgres_is_refused(tmp_path):
    """A folder with an old server is named together with the versions that work."""
    for name in ("initdb", "pg_ctl", "pg_basebackup", "pg_controldata", "pg_verifybackup"):
        (tmp_path / name).touch()
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 12.3'\n")
    (tmp_path / "postgres").chmod(0o755)
    with pytest.raises(OperatorError, match="Postgres 12") as caught:
        find_binaries(str(tmp_path))
    assert caught.value.code == "postgres_unsupported"


def test_a_folder_without_postgres_is_refused(tmp_path):
    """An empty folder is not a Postgres."""
    with pytest.raises(OperatorError) as caught:
        find_binaries(str(tmp_path))
    assert caught.value.code == "postgres_missing"


def test_without_an_installed_postgres_the_wheels_is_used(monkeypatch):
    """With none on PATH and none in Debian's folders, the newest of the wheel is taken."""
    monkeypatch.setattr("fuel_stat.postgres.binaries._installed_folders", lambda: iter(()))
    assert find_binaries() == wheel_binaries()
    assert {wheel_binaries(16).major, wheel_binaries(18).major} == {16, 18}


def test_addresses_survive_awkward_passwords():
    """Characters with a meaning in URLs are escaped, and the driver is spelled out for SQLAlchemy."""
    dsn = Dsn("127.0.0.1", 5432, "d", "u", "p@ss/w:rd")
    assert Dsn.parse(str(dsn)) == dsn
    assert sqlalchemy_url(str(dsn)).startswith("postgresql+psycopg2://u:p%40ss")
    assert "p%40ss" not in dsn.shown


@pytest.mark.parametrize("database", ["collector", "analytic"])
def test_every_migration_is_complete(database):
    """Each number has up, down and the revision file that Alembic reads, and no number stands twice."""
    folder = SQL_FOLDER / database / "versions"
    ups = sorted(path.name.removesuffix(".up.sql") for path in folder.glob("*.up.sql"))
    assert ups
    assert ups == sorted(path.name.removesuffix(".down.sql") for path in folder.glob("*.down.sql"))
    assert ups == sorted(path.stem for path in folder.glob("[0-9]*.py"))
    numbers = [name.split("_")[0] for name in ups]
    assert len(numbers) == len(set(numbers))
