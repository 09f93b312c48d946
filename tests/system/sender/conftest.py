"""A database server of the node's own, to be killed and stopped at will."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import copy_initialised, new_cluster


@pytest.fixture(scope="module")
def node_cluster(clusters_folder: Path, binaries: Any, initialised: Path) -> Iterator[Any]:
    """A running Postgres."""
    cluster = new_cluster("node", clusters_folder, binaries, ())
    copy_initialised(cluster, initialised)
    cluster.start(tied=True)
    yield cluster
    cluster.destroy()
