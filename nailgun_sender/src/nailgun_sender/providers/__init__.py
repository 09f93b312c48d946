"""What a host implements to describe itself, and a reference for a Nailgun-like database.

>>> class MyStructure:
...     def structure(self):
...         return {"master_node_uid": "…", "clusters_num": 1, ...}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class ClusterWorkload:
    """What one look at one cluster saw of one resource type.

    ``resources`` is all there is of that type (an empty list: there is none; no ClusterWorkload at
    all: we could not look). ``version_info`` has the contract's five version strings.
    """

    cluster_id: int
    resource_type: str
    resources: Iterable[Mapping[str, Any]]
    version_info: Mapping[str, Any] = field(default_factory=dict)


class StructureProvider(Protocol):
    """Describes the installation as it is now."""

    def structure(self) -> Mapping[str, Any]:
        """Return the installation structure of the wire contract, not sanitised.

        Called in the sending process. Raises ProviderError when it cannot be read.
        """


class WorkloadProvider(Protocol):
    """Looks at the workloads of every cluster."""

    def workloads(self) -> Iterable[ClusterWorkload]:
        """Yield what is there now, not sanitised; a cluster that cannot be seen is left out.

        Called in the sending process. Raises ProviderError when nothing can be read.
        """
