"""Where the local stack keeps things."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fuel_stat.errors import OperatorError
from fuel_stat.state import REPOSITORY, home


@dataclass(frozen=True)
class Layout:
    """Folders below the state folder, and those of the repository that services run from."""

    home: Path
    repository: Path = REPOSITORY

    @property
    def logs(self) -> Path:
        """One ``<service>.log`` each."""
        return self.home / "log"

    @property
    def run(self) -> Path:
        """One ``<service>.json`` each: the recorded process."""
        return self.home / "run"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME: task logs and the password file."""
        return self.home / "airflow"

    @property
    def backups(self) -> Path:
        """Base backups and archived WAL, unless an operator puts them elsewhere."""
        return self.home / "backups"

    @property
    def reports(self) -> Path:
        """Finished report files."""
        return self.home / "reports"


def layout() -> Layout:
    """The layout of the current state folder."""
    return Layout(home())


def prepare(where: Layout) -> None:
    """Make the folders.

    Raises:
        OperatorError: ``unwritable_home``, ``disk_full`` when less than 500 MB are left.
    """
    try:
        where.home.mkdir(parents=True, exist_ok=True)
        for folder in (where.logs, where.run, where.airflow, where.backups, where.reports):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(where.home, error.strerror or str(error)) from error
    if not os.access(where.home, os.W_OK | os.X_OK):
        raise _unwritable(where.home, "permission denied")
    if shutil.disk_usage(where.home).free < 500_000_000:
        raise OperatorError(
            "disk_full", f"Less than 500 MB are free at {where.home}: make room and run it again."
        )


def _unwritable(folder: Path, why: str) -> OperatorError:
    sentence = f"{folder} cannot be written ({why}): set FUEL_STAT_HOME to a folder that you own."
    return OperatorError("unwritable_home", sentence)
