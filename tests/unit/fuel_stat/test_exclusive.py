"""One command at a time changes the stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.stack.exclusive import exclusive, interrupt_holder

HOLD = """
import sys, time, pathlib
from fuel_stat.stack.exclusive import exclusive
with exclusive(pathlib.Path(sys.argv[1]), "up"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_command_is_told_who_works(tmp_path: Path) -> None:
    """While `up` works, `down` says so in one sentence; when the holder is interrupted, the lock is free."""
    command = [sys.executable, "-W", "ignore", "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(OperatorError, match=f"`fuel-stat up` \\(process {holder.pid}\\)"),
            exclusive(tmp_path, "down"),
        ):
            pass
        interrupt_holder(tmp_path)
        holder.wait(5)
    with exclusive(tmp_path, "down"):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()
