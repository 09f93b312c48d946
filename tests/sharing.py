"""Who runs what when several workers share the tests (``pytest -p tests.sharing -n 2 --dist loadfile``).

The tests of one module stay together, because they share servers. All that use the running stack go to one worker,
first, because there is one stack a run and it takes longest. (pytest-xdist's own ``loadgroup`` would say this with
marks; its version 3.8 puts a group's name where pytest 9.2 no longer looks.)
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

STACK = "tests/system/"
#: Below that folder, but with servers of their own.
APART = ("tests/system/test_small_stack.py", "tests/system/sender/")


def group(nodeid: str) -> str:
    """The name of what runs together with that test."""
    module = nodeid.split("::", 1)[0]
    return STACK if module.startswith(STACK) and not module.startswith(APART) else module


class Sharing(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Replaces the scheduler that ``--dist`` names; groups are handed out in the order of collection."""
    config.option.loadscopereorder = False
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stack's tests come first, then those with servers of their own, then the rest as collected."""
    items.sort(key=lambda item: (group(item.nodeid) != STACK, not item.nodeid.startswith(APART)))
