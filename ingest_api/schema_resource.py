"""The schemas and examples of the kinds, as they are on disk."""

from __future__ import annotations

from collections.abc import Mapping

import falcon

from ingest_api import answers
from ingest_api.kinds import Kind


class SchemaIndexResource:
    """``GET /api/v1/schemas/``: the kinds, their versions, and the addresses of schemas and examples."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._index = {
            "status": "ok",
            "kinds": {
                name: {
                    "version": kind.version,
                    "ledger": kind.ledger,
                    "files": [
                        f"/api/v1/schemas/{name}/{path.name}" for path in sorted(kind.folder.glob("*.json"))
                    ],
                }
                for name, kind in kinds.items()
            },
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The index."""
        resp.content_type = answers.JSON
        resp.data = answers.dumps(self._index)


class SchemaResource:
    """``GET /api/v1/schemas/<kind>/<file>``: one file; 404 for anything that is not a kind's file."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._files = {
            (name, path.name): path.read_bytes()
            for name, kind in kinds.items()
            for path in sorted(kind.folder.glob("*.json"))
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response, kind: str, file: str) -> None:
        """The file's bytes."""
        content = self._files.get((kind, file))
        if content is None:
            raise falcon.HTTPNotFound
        resp.content_type = answers.JSON
        resp.data = content
