"""Files of the page, of Data Docs and of the dbt docs."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from pathlib import Path

import falcon

from analytics_api.errors import NotFoundError

# The page: nothing inline, nothing from elsewhere.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Generated documentation carries its scripts and styles inside its pages; it still may not call elsewhere.
DOCUMENTATION_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HASHED = "assets"


class StaticResource:
    """The files below one folder, ``index.html`` for folders. Nothing outside it can be reached.

    Args:
        root: the folder; it may be missing, and may appear later.
        policy: the Content-Security-Policy of what it holds.
        missing: HTML that is answered for the folder itself while it has no ``index.html``.
    """

    def __init__(self, root: Path, policy: str, missing: str) -> None:
        self._root = root
        self._policy = policy
        self._missing = missing.encode()

    def on_get(self, request: falcon.Request, response: falcon.Response, path: str = "") -> None:
        """200 with the file, 304 when the client has it; 404 ``unknown_page``."""
        response.set_header("Content-Security-Policy", self._policy)
        file = self._find(path)
        if file is None:
            self._answer_missing(path, response)
            return
        found = file.stat()
        tag = f"{found.st_mtime_ns:x}-{found.st_size:x}"
        response.etag = tag
        response.set_header("Last-Modified", formatdate(found.st_mtime, usegmt=True))
        response.cache_control = (
            ["public", "max-age=31536000", "immutable"] if path.startswith(f"{_HASHED}/") else ["no-cache"]
        )
        known = request.if_none_match or []
        if tag in known or "*" in known:
            response.status = falcon.HTTP_304
            return
        response.content_type = mimetypes.guess_type(file.name)[0] or falcon.MEDIA_TEXT
        response.set_stream(file.open("rb"), found.st_size)

    def _find(self, path: str) -> Path | None:
        """The file, if there is one and it is truly below the root (links followed)."""
        if "\0" in path:
            return None
        try:
            root = self._root.resolve(strict=True)
            file = (root / path.lstrip("/")).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        if file.is_dir():
            file = file / "index.html"
        if not file.is_relative_to(root) or not file.is_file() or not file.resolve().is_relative_to(root):
            return None
        return file

    def _answer_missing(self, path: str, response: falcon.Response) -> None:
        if path.strip("/") not in ("", "index.html"):
            raise NotFoundError("unknown_page", "There is no such page.")
        response.content_type = falcon.MEDIA_HTML
        response.data = self._missing
        response.cache_control = ["no-store"]


def notice(title: str, sentence: str) -> str:
    """A short HTML page that says why there is nothing yet."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><h1>{title}</h1><p>{sentence}</p></html>\n"
    )


PAGE_MISSING = notice(
    "Fuel-stat",
    "The page is not built yet: run <code>make ui</code> in the repository (it needs Node 20 or newer, or brings "
    "its own). The API answers already: see <a href='/api/v1/openapi.json'>its description</a>.",
)
DATA_DOCS_MISSING = notice("Data Docs", "No audit has run yet: they are written by the first one.")
DBT_DOCS_MISSING = notice("dbt docs", "They are not generated yet: the first build of the marts writes them.")
