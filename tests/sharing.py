"""Who runs what when several workers share the tests (``pytest -p tests.sharing --dist loadgroup``).

The tests of one module stay together, because they share servers. All that use the running stack go to one worker,
first, because there is one stack a run and it takes longest.
"""

from __future__ import annotations

import pytest

STACK = "stack"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group and put the stack's first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _group(item) != STACK)


def _group(item: pytest.Item) -> str:
    return STACK if STACK in getattr(item, "fixturenames", ()) else item.path.as_posix()
