"""Stops the stack when the process that asked for it has gone, however it went.

Tests start a stack with FUEL_STAT_PARENT_PID: a killed test run must leave nothing behind.
"""

from __future__ import annotations

import sys
import time

from fuel_stat.stack import process, stack
from fuel_stat.stack.exclusive import interrupt_holder
from fuel_stat.state import home

_POLL_SECONDS = 0.5


def main() -> None:
    """Wait for the end of the process named by id and start time, then stop the stack and delete nothing."""
    pid, started = int(sys.argv[1]), int(sys.argv[2])
    while process.start_time(pid) == started:
        time.sleep(_POLL_SECONDS)
    interrupt_holder(home())
    stack.down(print)


if __name__ == "__main__":
    main()
