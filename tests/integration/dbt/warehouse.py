"""An analytic database and the dbt that builds in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import conninfo

from tests.integration.dbt.dbt_process import MARK

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    """What a dbt command came to: the node ids by status, and what failed in words."""

    success: bool
    statuses: dict[str, str]
    errors: list[str]


@dataclass
class Warehouse:
    """A database and its dbt; ``folder`` is where dbt writes."""

    dsn: str
    folder: Path
    process: subprocess.Popen[str]

    def dbt(self, *arguments: str, as_of: str | None = None) -> Outcome:
        """Run a dbt command, such as ``run --full-refresh``; ``as_of`` is the time it takes for now."""
        variables = ["--vars", json.dumps({"as_of": as_of})] if as_of else []
        stdin: IO[str] = self.process.stdin  # type: ignore[assignment]
        stdin.write(json.dumps([*arguments, *variables]) + "\n")
        stdin.flush()
        return self.read()

    def read(self) -> Outcome:
        """The next answer of the process."""
        stdout: IO[str] = self.process.stdout  # type: ignore[assignment]
        said = []
        for line in stdout:
            if line.startswith(MARK):
                return outcome(json.loads(line[len(MARK) :]))
            said.append(line)
        raise AssertionError("dbt ended: " + "".join(said[-30:]))

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(statement, values or None).fetchall()

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement)


def outcome(value: dict[str, Any]) -> Outcome:
    """An answer as it is used in tests."""
    bad = [n for n in value["nodes"] if n["status"] not in {"success", "pass"}]
    errors = [f"{n['id']} {n['status']}: {n['message']}" for n in bad]
    if value["error"]:
        errors.append(value["error"])
    return Outcome(value["success"], {n["id"]: n["status"] for n in value["nodes"]}, errors)


@contextmanager
def opened(dsn: str, folder: Path) -> Iterator[Warehouse]:
    """A warehouse whose dbt has parsed the project."""
    parts = conninfo.conninfo_to_dict(dsn)
    environment = {
        **os.environ,
        "FUEL_STAT_DBT_HOST": str(parts["host"]),
        "FUEL_STAT_DBT_PORT": str(parts["port"]),
        "FUEL_STAT_DBT_USER": str(parts["user"]),
        "FUEL_STAT_DBT_PASSWORD": str(parts.get("password", "")),
        "FUEL_STAT_DBT_DBNAME": str(parts["dbname"]),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "tests.integration.dbt.dbt_process"]
    command += ["--project-dir", str(REPOSITORY), "--profiles-dir", str(REPOSITORY / "dbt_project")]
    command += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    process = subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    warehouse = Warehouse(dsn, folder, process)
    try:
        parsed = warehouse.read()
        assert parsed.success, parsed.errors
        yield warehouse
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(timeout=60)
        process.stdout.close()  # type: ignore[union-attr]
