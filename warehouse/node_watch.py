"""The daily look for cloned machines: the collector's own command, run where the pipeline runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from warehouse.errors import WarehouseError

_SECONDS = 3000


class NodeWatchError(WarehouseError):
    """The command failed (``node_watch_failed``)."""


def flag_clones(primary: str, standby: str, *, days: int) -> list[str]:
    """Run ``fuel-stat nodes flag``; returns its lines, one a finding and the count at the end.

    The services stand beside each other and do not import one another: this is the operator's door.

    Args:
        primary: libpq address as fuel_admin, where findings are kept.
        standby: libpq address as fuel_extract, where landings are read.
        days: how far to look back.

    Raises:
        NodeWatchError.
    """
    addresses = {"FUEL_STAT_COLLECTOR_ADMIN_DSN": primary, "FUEL_STAT_COLLECTOR_STANDBY_DSN": standby}
    command = [str(Path(sys.executable).with_name("fuel-stat")), "nodes", "flag", "--days", str(days)]
    done = subprocess.run(
        command,
        env={**os.environ, **addresses},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NodeWatchError("node_watch_failed", f"fuel-stat nodes flag: {done.stderr.strip()[-500:]}")
    return done.stdout.splitlines()
