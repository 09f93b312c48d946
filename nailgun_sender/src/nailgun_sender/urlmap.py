"""From a URL to what the wire contract calls it: group, name, and a template without values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

OTHER = "other"


@dataclass(frozen=True)
class Route:
    """One kind of URL. ``template`` has ``{cluster_id}`` and ``{id}`` for numbers.

    A template matches at the end of a path, with or without the last slash, so that the host may
    mount its API below any prefix.
    """

    template: str
    group: str
    name: str


@dataclass(frozen=True)
class Action:
    """What a path was found to be."""

    group: str
    name: str
    template: str
    cluster_id: int | None
    mapped: bool


def _cluster(rest: str, group: str, name: str) -> Route:
    return Route(f"/api/clusters/{{cluster_id}}/{rest}", group, name)


FUEL: Sequence[Route] = (
    Route("/api/clusters/", "cluster_changes", "cluster_collection"),
    Route("/api/clusters/{cluster_id}/", "cluster_changes", "cluster_instance"),
    _cluster("changes/", "cluster_changes", "deploy_changes"),
    _cluster("provision/", "cluster_changes", "provision"),
    _cluster("deploy/", "cluster_changes", "deploy"),
    _cluster("stop_deployment/", "cluster_changes", "stop_deployment"),
    _cluster("reset/", "cluster_changes", "reset"),
    _cluster("update/", "cluster_changes", "update"),
    _cluster("network_configuration/nova_network/", "network_configuration", "nova_network"),
    _cluster("network_configuration/neutron/", "network_configuration", "neutron"),
    _cluster("network_configuration/nova_network/verify/", "network_verification", "nova_network"),
    _cluster("network_configuration/neutron/verify/", "network_verification", "neutron"),
    _cluster("attributes/", "cluster_attributes", "attributes"),
    _cluster("attributes/defaults/", "cluster_attributes", "attributes_defaults"),
    _cluster("orchestrator/deployment/", "orchestrator", "deployment_info"),
    _cluster("orchestrator/provisioning/", "orchestrator", "provisioning_info"),
    Route("/api/settings/", "master_node_settings", "master_node_settings"),
    Route("/api/releases/", "release_changes", "releases_collection"),
    Route("/api/releases/{id}/", "release_changes", "release_instance"),
    Route("/api/tasks/", "tasks_changes", "tasks_collection"),
    Route("/api/tasks/{id}/", "tasks_changes", "task_instance"),
)
"""The URLs of a Fuel master node, as its own statistics named them."""

_WORD = re.compile(r"[a-z][a-z_]*\Z")


@dataclass(frozen=True)
class UrlMap:
    """Routes, and the literal words that the template of an unmapped URL may show."""

    routes: Sequence[Route] = FUEL
    words: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_patterns", [(_pattern(r.template), r) for r in self.routes])
        known = set(self.words).union(*(_literals(route.template) for route in self.routes))
        object.__setattr__(self, "_known", frozenset(known))

    def action(self, path: str) -> Action:
        """Name a path (without query). One that no route knows is ``other``/``other``."""
        patterns: list[tuple[re.Pattern[str], Route]] = self._patterns  # type: ignore[attr-defined]
        for pattern, route in patterns:
            found = pattern.search(path)
            if found:
                cluster = found.groupdict().get("cluster_id")
                return Action(route.group, route.name, route.template, _number(cluster), mapped=True)
        return Action(OTHER, OTHER, self._blind(path), None, mapped=False)

    def _blind(self, path: str) -> str:
        # An unmapped URL may carry anything, so only words known from the map are shown.
        known: frozenset[str] = self._known  # type: ignore[attr-defined]
        parts = [part for part in path.split("/") if part][:12]
        shown = [part if part in known else "{id}" if part.isdigit() else "{…}" for part in parts]
        return "/" + "".join(f"{part}/" for part in shown)


def _pattern(template: str) -> re.Pattern[str]:
    below_api = template[len("/api") :] if template.startswith("/api/") else template
    escaped = re.escape(below_api.rstrip("/"))
    named = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]{1,18})", escaped)
    return re.compile(named + r"/?\Z")


def _literals(template: str) -> Iterable[str]:
    return [part for part in template.split("/") if _WORD.match(part)]


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
