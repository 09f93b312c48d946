"""The systemd unit that the package brings along."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from nailgun_sender.cli.main import main


@pytest.fixture
def unit(tmp_path, capsys) -> Path:
    """The unit as an operator gets it."""
    assert main(["unit"]) == 0
    path = tmp_path / "fuel-stat-sender.service"
    path.write_text(capsys.readouterr().out)
    return path


def test_the_unit_runs_this_program(unit):
    """It names the very program that printed it, and waits longer for its end than a request may take."""
    text = unit.read_text()
    program = re.search(r"^ExecStart=(\S+) run$", text, re.MULTILINE)
    assert program
    assert Path(program[1]).exists()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop
    from nailgun_sender.messenger import MessengerSettings

    assert int(stop[1]) > MessengerSettings().answer_timeout


def test_systemd_understands_the_unit_and_finds_it_hardened(unit):
    """No complaint of `systemd-analyze verify`; an exposure of at most 2.0 of 10."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    if "Failed to initialize manager" in verified.stderr:
        pytest.skip("systemd-analyze does not work here")
    assert (verified.returncode, verified.stderr) == (0, "")
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", security.stdout)
    assert exposure, security.stdout + security.stderr
    assert float(exposure[1]) <= 2.0
