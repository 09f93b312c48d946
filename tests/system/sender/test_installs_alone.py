"""`pip install ./nailgun_sender` in an empty environment, with each Python and SQLAlchemy it promises (evidence)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "evidence" / "sender-installs.md"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
NEEDED = {"nailgun-sender", "sqlalchemy", "urllib3"}
BROUGHT = {
    "greenlet",
    "typing_extensions",
    "pip",
    "setuptools",
}  # by SQLAlchemy, and by the environment itself
_found: list[dict[str, object]] = []


def interpreter(version: str) -> str | None:
    """A Python of that version which really runs."""
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    works = subprocess.run([path, "-c", "import venv, ssl"], capture_output=True, check=False)
    return path if works.returncode == 0 else None


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """Write what was found when all is done."""
    yield
    lines = [
        "# The sender, installed by itself",
        "",
        "Written by `make evidence` (tests/system/sender/test_installs_alone.py): an empty environment each,"
        " `pip install ./nailgun_sender`,\nthen a failed request, a task and a look at a cluster are recorded and read"
        " back. Nothing is there but what SQLAlchemy\nand the package itself ask for.",
        "",
        "| Python | SQLAlchemy | packages |",
        "|---|---|---|",
        *[f"| {each['python']} | {each['sqlalchemy']} | {', '.join(each['packages'])} |" for each in _found],  # type: ignore[arg-type]
        "",
    ]
    if _found:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.evidence
@pytest.mark.parametrize("sqlalchemy", ["sqlalchemy<2", "sqlalchemy>=2"])
@pytest.mark.parametrize("version", PYTHONS)
def test_it_installs_and_records_with_nothing_else_there(
    version: str, sqlalchemy: str, tmp_path: Path
) -> None:
    """Its own metadata brings all it needs, and it records, on the oldest and the newest of what it promises."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    source = tmp_path / "nailgun_sender"
    shutil.copytree(ROOT / "nailgun_sender", source, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([own, "-m", "pip", "install", "--quiet", str(source), sqlalchemy], check=True)
    script = Path(__file__).with_name("alone.py")
    said = subprocess.run(
        [own, "-W", "error", str(script)], check=True, capture_output=True, text=True
    ).stdout
    told = json.loads(said)
    assert set(told["packages"]) - BROUGHT == NEEDED
    (name, cluster, info), (task, _, ended) = told["rows"]
    assert (name, cluster, task, ended["ended_with_status"]) == ("deploy_changes", 7, "deploy", "ready")
    assert info["response_data"] == {
        "status": "409 Conflict",
        "data": {"message": "cluster is busy, [secret]"},
    }
    subprocess.run(
        [str(tmp_path / "venv" / "bin" / "fuel-stat-sender"), "--help"], check=True, capture_output=True
    )
    _found.append(told)
