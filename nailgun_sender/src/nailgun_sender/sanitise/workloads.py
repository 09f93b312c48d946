"""Allow-list of what is kept of workloads: identifiers and figures, by resource type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .deny import deny
from .shape import DROP, IDENT, LABEL, PRODUCT, Shape, either, flag, many, number, obj, word

_TIME = word(r"[0-9TZ:.+ -]+", 40)
_DEVICE = word(r"[A-Za-z0-9/_-]+", 40)
_ZONE = word(r"[\w.-]+", 64)
_BOOLISH = either(flag, word("true|false|True|False"))
_SIZE = either(number, word("[0-9]*"))

RESOURCES: Mapping[str, Shape] = {
    "vm": obj(
        {
            "id": IDENT, "status": LABEL, "tenant_id": IDENT, "host_id": IDENT, "created_at": _TIME,
            "power_state": either(number, LABEL), "flavor_id": IDENT, "image_id": IDENT,
        }
    ),
    "flavor": obj(
        {
            "id": IDENT, "ram": number, "vcpus": number, "ephemeral": number, "disk": number,
            "swap": _SIZE,
        }
    ),
    "volume": obj(
        {
            "id": IDENT, "availability_zone": _ZONE, "encrypted_flag": _BOOLISH,
            "bootable_flag": _BOOLISH, "status": LABEL, "volume_type": _ZONE, "size": number,
            "snapshot_id": IDENT, "tenant_id": IDENT,
            "attachments": many(obj({"device": _DEVICE, "server_id": IDENT, "id": IDENT})),
        }
    ),
    "image": obj(
        {
            "id": IDENT, "minDisk": number, "minRam": number, "sizeBytes": number,
            "created_at": _TIME, "updated_at": _TIME,
        }
    ),
    "tenant": obj({"id": IDENT, "enabled_flag": _BOOLISH}),
    "keystone_user": obj({"id": IDENT, "enabled_flag": _BOOLISH, "tenant_id": IDENT}),
    "security_group": obj({"id": IDENT, "tenant_id": IDENT}),
    "cluster_stats": obj({"id": IDENT, "tenants": number, "vms": number, "volumes": number}),
}  # fmt: skip
"""What is kept of a resource, by the contract's resource types."""

_VERSIONS = obj(
    dict.fromkeys(
        (
            "fuel_version", "release_version", "release_name", "release_os", "environment_version",
        ),
        PRODUCT,
    )
)  # fmt: skip


def resources(resource_type: str, found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return resources with what may be kept of them; one without an id is left out.

    Raises KeyError for a resource type the contract does not know.
    """
    shape = RESOURCES[resource_type]
    kept = (shape(each) for each in found)
    return [deny(each) for each in kept if isinstance(each, dict) and each.get("id") is not None]


def version_info(given: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Return version strings of a cluster that may be kept."""
    kept = _VERSIONS(given or {})
    return {} if kept is DROP else deny(kept)
