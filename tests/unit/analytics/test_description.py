"""The description of the API and what it describes."""

from __future__ import annotations

from analytics_api.app import create_app
from analytics_api.openapi import document
from analytics_api.report_resource import distribution, version_order
from analytics_api.settings import Settings
from fuel_stat.settings import describe

UNDESCRIBED = {"/metrics", "/api/v1/openapi.json"}


def test_every_route_is_described_and_every_description_is_routed() -> None:
    """The OpenAPI document lists exactly the addresses of the application, with their methods."""
    described = {
        (path, method.upper()) for path, methods in document()["paths"].items() for method in methods
    }
    router = create_app(Settings())._router
    routed = {
        (node.uri_template, method)
        for node in _leaves(router._roots)
        for method, responder in node.method_map.items()
        if method != "OPTIONS" and "not_allowed" not in responder.__qualname__
    }
    assert {(path, method) for path, method in routed if path not in UNDESCRIBED} == described


def _leaves(nodes: list) -> list:  # type: ignore[type-arg]
    found = []
    for node in nodes:
        if node.method_map:
            found.append(node)
        found.extend(_leaves(node.children))
    return found


def test_every_option_has_a_sentence() -> None:
    """The configuration page can be made from the settings."""
    for row in describe(Settings):
        assert row.env.startswith("FUEL_STAT_")
        assert row.doc.endswith(".")


def test_unknown_release_gives_zeros() -> None:
    """No rows are zeros and empty distributions, all members present."""
    found = distribution([])
    assert found["installations"] == {"count": 0, "environments_num": {}}
    assert found["environments"]["oses_num"] == {}


def test_releases_are_ordered_as_versions() -> None:
    """10.0 comes after 9.0, and what is no number does not break the order."""
    assert sorted(["10.0", "9.0", "6.1", "2014.2-6.0", "x"], key=version_order) == [
        "x",
        "6.1",
        "9.0",
        "10.0",
        "2014.2-6.0",
    ]
