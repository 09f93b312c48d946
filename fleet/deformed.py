"""What nodes in the field sent that no one expected: odd values that pass the schema, and some that do not."""

from dataclasses import replace
from typing import Any

from fleet.actions import Action


def deform(structure: dict[str, Any]) -> dict[str, Any]:
    """A structure with odd types in free fields and unknown keys; the contract's schema accepts it."""
    clusters = [
        {
            **cluster,
            "attributes": {
                **cluster["attributes"],
                "libvirt_type": 7 if index == 0 else None,
                "osd_pool_size": {"value": "3"},
                "volumes_block_device": {"enabled": True},
            },
            "installed_plugins": [{"name": "no-version"}],
            "network_configuration": {"segmentation_type": None, "net_l23_provider": None},
        }
        for index, cluster in enumerate(structure["clusters"])
    ]
    without_release = {key: value for key, value in structure.items() if key != "fuel_release"}
    return {**without_release, "clusters": clusters, "something_new": [1, {"deep": None}]}


def refused(structure: dict[str, Any]) -> dict[str, Any]:
    """A structure that the schema refuses: a count that is text. Answered 400 and kept in quarantine."""
    return {**structure, "clusters_num": str(structure["clusters_num"])}


def broken_action(like: Action) -> Action:
    """A record without its required `action_type`: answered `failed`, and sent again for ever."""
    number = like.external_id + 1
    body = {key: value for key, value in like.body.items() if key != "action_type"}
    return replace(like, external_id=number, body={**body, "id": number})
