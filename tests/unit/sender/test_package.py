"""The distribution: what it promises about Pythons, imports, typing and settings."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nailgun_sender import Settings, SettingsError

DISTRIBUTION = Path(__file__).resolve().parents[3] / "nailgun_sender"
SOURCES = sorted((DISTRIBUTION / "src").rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(DISTRIBUTION / "src")))
def test_every_module_is_python_3_9_and_imports_nothing_of_ours(source: Path) -> None:
    """It runs on a node's old Python, alone: only the standard library, SQLAlchemy, urllib3 and the
    signatures extra.
    """
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))
    allowed = {
        *sys.stdlib_module_names,
        "sqlalchemy",
        "urllib3",
        "http_message_signatures",
        "cryptography",
        "uwsgi",
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        assert {name.partition(".")[0] for name in names} <= allowed | {"nailgun_sender"}


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """Built by itself it has every module, the marker of typing and the licence."""
    build = "import hatchling.build, os, sys; os.chdir(sys.argv[1]); print(hatchling.build.build_wheel(sys.argv[2]))"
    made = subprocess.run(
        [sys.executable, "-c", build, str(DISTRIBUTION), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'hatchling'" in made.stderr:
        pytest.skip("the build backend is not installed")
    assert made.returncode == 0, made.stderr
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {"nailgun_sender/py.typed", "nailgun_sender/fuel-stat-sender.service"} <= set(names)
    assert any(name.endswith("LICENSE") for name in names)
    assert {str(path.relative_to(DISTRIBUTION / "src")) for path in SOURCES} <= set(names)


def test_settings_come_from_the_environment() -> None:
    """Each option by its name; what cannot be read is an error that names the variable."""
    given = {"FUEL_STAT_SENDER_QUEUE_SIZE": "7", "FUEL_STAT_SENDER_RECORD_UNMAPPED": "no", "OTHER": "x"}
    settings = Settings.from_env(given)
    assert (settings.queue_size, settings.record_unmapped, settings.batch_size) == (7, False, 100)
    for name, value in (
        ("QUEUE_SIZE", "many"),
        ("QUEUE_SIZE", "0"),
        ("RECORD_UNMAPPED", "perhaps"),
        ("TABLE_PREFIX", "a;b"),
    ):
        with pytest.raises(SettingsError) as caught:
            Settings.from_env({f"FUEL_STAT_SENDER_{name}": value})
        assert caught.value.code == "bad_setting"
        assert name.lower() in str(caught.value).lower()
