"""The scripts behind `make`: what is missing is named in one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def call(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script; its output is captured."""
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that has no environment yet."""
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def test_an_unsupported_python_is_named(clone: Path) -> None:
    """A Python that is too old: one line with the versions that do."""
    old = clone / "python2.7"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = call(clone / "scripts/bootstrap", PYTHON=str(old))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "3.11, 3.12 or 3.13" in done.stderr


def test_no_python_at_all_is_named(clone: Path) -> None:
    """A machine without any Python gets a sentence, not a shell's error."""
    programs = clone / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "pwd"):
        (programs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    done = call(programs / "sh", clone / "scripts/bootstrap", PATH=str(programs), PYTHON="")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("bootstrap: Python 3.11, 3.12 or 3.13 is needed")


def test_an_incomplete_clone_is_named(clone: Path) -> None:
    """A lock that is not there: one line with its path."""
    (clone / "requirements.lock").unlink()
    done = call(clone / "scripts/bootstrap")
    assert done.returncode == 2
    assert done.stderr == (
        f"bootstrap: {clone}/requirements.lock cannot be read: check the clone and its permissions.\n"
    )


def test_a_browser_that_is_none_is_named() -> None:
    """CHROMIUM that names no program is the operator's mistake."""
    done = call(REPOSITORY / "scripts/browser", CHROMIUM="/no/such/browser")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/no/such/browser" in done.stderr


def test_the_lock_names_no_host() -> None:
    """Every package is pinned by hash, and no address of an index is in the file."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"^[a-z0-9][^\s]*==", lock, re.MULTILINE)
    assert len(pinned) > 100
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_continuous_integration_leaves_nothing_out() -> None:
    """`.ci/run` is exactly `make test`, with skips turned into failures."""
    text = (REPOSITORY / ".ci/run").read_text()
    assert "REQUIRE_RECORDED=1" in text
    assert "REQUIRE_BROWSER=1" in text
    assert re.search(r"^exec make .*\btest$", text, re.MULTILINE)


DOORS = "help up down reset demo test lint fmt bench evidence docs clean ui lock"
BENCHES = "bench-ingest bench-warehouse bench-sender bench-freshness"


@pytest.mark.parametrize("target", f"{DOORS} {BENCHES}".split(" "))
def test_every_door_is_there(target: str) -> None:
    """The promised make targets exist."""
    assert call("make", "-C", REPOSITORY, "--question", "--dry-run", target).returncode in (0, 1)
