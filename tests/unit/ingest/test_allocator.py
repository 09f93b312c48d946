"""Memory that a request leaves behind is kept for the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import resource, sys
from ingest_api.allocator import keep_memory
if sys.argv[1] == "keep" and not keep_memory():
    print("unknown")
    raise SystemExit
def copies():
    return [bytes(100_000 + number) for number in range(3)]
copies()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    copies()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    ran = subprocess.run([sys.executable, "-c", _SCRIPT, how], capture_output=True, text=True, check=True)
    if ran.stdout.strip() == "unknown":
        pytest.skip("this C library has no such settings")
    return int(ran.stdout)


def test_the_copies_of_a_body_are_not_faulted_in_anew_for_each_request() -> None:
    """By default the kernel hands out the same pages again and again; with the setting hardly ever."""
    assert _faults("keep") < 200
    assert _faults("default") > 2000
