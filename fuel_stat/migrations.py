"""Versioned migrations of both databases: Alembic runs them, SQL files say what they do.

``sql/<database>/versions/NNNN_name.up.sql`` and ``.down.sql`` are one migration; the revision is the number, and
each follows the next lower number. Beside each pair stands a two-line ``NNNN_name.py``, because Alembic reads
revisions from Python files. Objects belong to the database's owner role, never to the superuser.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import alembic.command
import sqlalchemy
from alembic import op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from fuel_stat.postgres.dsn import sqlalchemy_url
from fuel_stat.state import REPOSITORY

Database = Literal["collector", "analytic"]
OWNERS: dict[str, str] = {"collector": "fuel_admin", "analytic": "fuel_warehouse"}
SQL_FOLDER = REPOSITORY / "sql"


def sql_migration(file: str) -> tuple[str, str | None, Callable[[], None], Callable[[], None]]:
    """Revision, previous revision, upgrade and downgrade of the SQL pair beside the revision file ``file``."""
    path = Path(file)
    revision = path.stem.split("_", 1)[0]
    numbers = sorted(entry.name.split("_", 1)[0] for entry in path.parent.glob("[0-9]*.up.sql"))
    earlier = [number for number in numbers if number < revision]

    def run(direction: str) -> None:
        statements = path.with_name(f"{path.stem}.{direction}.sql").read_text()
        # The driver's own cursor without parameters: percent signs in format() must stay as they are.
        cursor = op.get_bind().connection.cursor()
        cursor.execute(statements)
        cursor.close()

    return revision, earlier[-1] if earlier else None, lambda: run("up"), lambda: run("down")


def upgrade(superuser_dsn: str, database: Database, revision: str = "head") -> None:
    """Bring a database to a revision (by default the newest); does nothing when it is there already."""
    alembic.command.upgrade(_config(superuser_dsn, database), revision)


def downgrade(superuser_dsn: str, database: Database, revision: str = "base") -> None:
    """Take a database back to a revision (by default to empty)."""
    alembic.command.downgrade(_config(superuser_dsn, database), revision)


def current_revision(dsn: str) -> str | None:
    """The revision that the database is at; None when it has none."""
    engine = sqlalchemy.create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return revision


def newest_revision(database: Database) -> str | None:
    """The newest revision that the repository has."""
    return ScriptDirectory.from_config(_config("postgresql://u@h:1/d", database)).get_current_head()


def _config(dsn: str, database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SQL_FOLDER))
    config.set_main_option("version_locations", str(SQL_FOLDER / database / "versions"))
    config.set_main_option("path_separator", "newline")
    config.attributes["url"] = sqlalchemy_url(dsn)
    config.attributes["owner"] = OWNERS[database]
    return config
