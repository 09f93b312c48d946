"""The URL map: the contract's names for the URLs of a Fuel master node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nailgun_sender.urlmap import Action

from nailgun_sender import Route, UrlMap


@pytest.mark.parametrize(
    ("path", "group", "name", "cluster"),
    [
        ("/api/clusters/", "cluster_changes", "cluster_collection", None),
        ("/api/v1/clusters/7/changes", "cluster_changes", "deploy_changes", 7),
        (
            "/prefix/api/clusters/7/network_configuration/neutron/verify/",
            "network_verification",
            "neutron",
            7,
        ),
        ("/api/clusters/7/network_configuration/nova_network/", "network_configuration", "nova_network", 7),
        ("/api/clusters/7/attributes/defaults/", "cluster_attributes", "attributes_defaults", 7),
        ("/api/releases/3/", "release_changes", "release_instance", None),
        ("/api/tasks/99999/", "tasks_changes", "task_instance", None),
    ],
)
def test_urls_have_the_contracts_names(path: str, group: str, name: str, cluster: int | None) -> None:
    """Whatever the prefix, with or without the last slash."""
    found = UrlMap().action(path)
    assert (found.group, found.name, found.cluster_id, found.mapped) == (group, name, cluster, True)


def test_the_template_never_shows_a_value() -> None:
    """An unmapped URL shows only words of the map; numbers and all else are places."""
    assert UrlMap().action("/api/clusters/5/alice@example.com/settings/x") == Action(
        "other", "other", "/api/clusters/{id}/{…}/settings/{…}/", None, mapped=False
    )
    assert UrlMap(words=frozenset({"nodes"})).action("/api/nodes/bob/").template == "/api/nodes/{…}/"


def test_a_host_may_bring_its_own_map() -> None:
    """Routes are the host's to name."""
    urls = UrlMap(routes=[Route("/things/{id}/", "things", "thing")])
    assert urls.action("/v2/things/12").name == "thing"
    assert not urls.action("/api/clusters/").mapped


def test_a_number_too_big_for_the_database_is_not_a_cluster() -> None:
    """Nineteen digits would not fit 64 bits."""
    assert not UrlMap().action("/api/clusters/9999999999999999999/").mapped


def test_real_urls_get_the_names_the_real_node_gave_them(recorded: Path) -> None:
    """Every request of the recorded traffic is named as Nailgun named it."""
    urls, checked = UrlMap(), 0
    for path in sorted((recorded / "nailgun").glob("*POST-action_logs.json")):
        for log in json.loads(json.loads(path.read_text())["request"]["body"])["action_logs"]:
            body = log["body"]
            if body["action_type"] == "http_request":
                found = urls.action(body["additional_info"]["request_data"]["url"])
                assert (found.group, found.name) == (body["action_group"], body["action_name"])
                assert found.cluster_id == body["cluster_id"]
                checked += 1
    assert checked > 100
