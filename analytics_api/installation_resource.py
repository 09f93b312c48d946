"""What is published about one installation, and the list of those that are filtered out.

Uids are pseudonymised before the look-up; answers carry the pseudonym as ``master_node_uid``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import falcon

from analytics_api.database import Marts, Row, Snapshot
from analytics_api.errors import NotFoundError
from analytics_api.parameters import Paging, installation_keys
from analytics_api.streams import json_page, streamed

_STRUCTURE = "select * from marts.rpt_structure where installation_key = any(:keys)"
_FILTERED_COUNT = "select count(*) as total from marts.rpt_structure where is_filtered"
_FILTERED = """
    select * from marts.rpt_structure where is_filtered
    order by structure_number, installation_key limit :limit offset :offset
"""
_WORKLOADS_COUNT = """
    select count(*) as total from marts.fct_workload_record
    where installation_key = any(:keys) and (cast(:type as text) is null or resource_type = :type)
"""
_WORKLOADS = """
    select * from marts.fct_workload_record
    where installation_key = any(:keys) and (cast(:type as text) is null or resource_type = :type)
    order by external_id, resource_type limit :limit offset :offset
"""
_ACTIONS_COUNT = "select count(*) as total from marts.fct_action where installation_key = any(:keys)"
_ACTIONS = "select * from marts.action_records(cast(:keys as uuid []), :limit, :offset)"


def shown_structure(row: Row) -> dict[str, Any]:
    """An installation's latest structure as the original answered it."""
    uid = str(row["installation_key"])
    modified = row["modified_at"]
    structure = row["structure"]
    if isinstance(structure, dict):
        structure = structure | {"master_node_uid": uid}
    return {
        "id": row["structure_number"],
        "master_node_uid": uid,
        "creation_date": row["created_at"].isoformat(),
        "modification_date": modified.isoformat() if modified else None,
        "release": row["release"] or None,
        "is_filtered": row["is_filtered"],
        "structure": structure,
    }


def shown_workload(row: Row) -> dict[str, Any]:
    """A workload record as its node sent it, under the installation's pseudonym."""
    return {
        "master_node_uid": str(row["installation_key"]),
        "external_id": row["external_id"],
        "cluster_id": row["cluster_id"],
        "created_date": _iso(row["created_date"]),
        "updated_time": _iso(row["updated_time"]),
        "resource_type": row["resource_type"],
        "resource_checksum": row["resource_checksum"],
        "resource_data": row["resource_data"],
        "version_info": row["version_info"],
    }


def _iso(value: Any) -> str | None:
    return None if value is None else str(value.isoformat())


def shown_action(row: Row) -> dict[str, Any]:
    """An action log as its node sent it (redacted), under the installation's pseudonym."""
    return {
        "master_node_uid": str(row["installation_key"]),
        "external_id": row["external_id"],
        "body": row["body"],
    }


class InstallationResource:
    """``/json/installation_info/{uid}``."""

    def __init__(self, marts: Marts, pepper: bytes) -> None:
        self._marts = marts
        self._pepper = pepper

    def on_get(self, request: falcon.Request, response: falcon.Response, uid: str) -> None:
        """200 with the latest structure; 404 ``unknown_installation``."""
        keys = installation_keys(self._pepper, uid)
        with self._marts.snapshot() as snapshot:
            row = snapshot.first(_STRUCTURE, keys=keys)
        if row is None:
            raise NotFoundError("unknown_installation", "No structure of that installation is published.")
        response.media = shown_structure(row)


class PagedResource:
    """A list ``{"paging_params": {limit, offset, total}, "objs": […]}``, streamed.

    Args:
        count, page: two queries that read the same rows.
        show: makes a published row an object of the list.
    """

    def __init__(
        self, marts: Marts, pepper: bytes, count: str, page: str, show: Callable[[Row], dict[str, Any]]
    ) -> None:
        self._marts = marts
        self._pepper = pepper
        self._count = count
        self._page = page
        self._show = show

    def on_get(
        self,
        request: falcon.Request,
        response: falcon.Response,
        uid: str | None = None,
        resource_type: str | None = None,
    ) -> None:
        """200 with the wanted part of the list, empty for an unknown installation; 400 ``bad_paging``."""
        paging = Paging.of(request.get_param("paging_params"))
        parameters: dict[str, Any] = {}
        if uid is not None:
            parameters["keys"] = installation_keys(self._pepper, uid)
        if ":type" in self._page:
            parameters["type"] = resource_type
        response.content_type = falcon.MEDIA_JSON
        response.stream = streamed(
            self._marts.snapshot(), lambda snapshot: self._objects(snapshot, paging, parameters)
        )

    def _objects(self, snapshot: Snapshot, paging: Paging, parameters: dict[str, Any]) -> Iterator[bytes]:
        counted = snapshot.first(self._count, **parameters) or {"total": 0}
        rows = snapshot.stream(self._page, limit=paging.limit, offset=paging.offset, **parameters)
        shown = {"limit": paging.limit, "offset": paging.offset, "total": counted["total"]}
        return json_page(shown, map(self._show, rows))


def filtered_installations(marts: Marts, pepper: bytes) -> PagedResource:
    """``/json/installation_infos/filtered``."""
    return PagedResource(marts, pepper, _FILTERED_COUNT, _FILTERED, shown_structure)


def workload_records(marts: Marts, pepper: bytes) -> PagedResource:
    """``/json/oswls/{uid}[/{type}]``."""
    return PagedResource(marts, pepper, _WORKLOADS_COUNT, _WORKLOADS, shown_workload)


def action_logs(marts: Marts, pepper: bytes) -> PagedResource:
    """``/json/action_logs/{uid}``."""
    return PagedResource(marts, pepper, _ACTIONS_COUNT, _ACTIONS, shown_action)
