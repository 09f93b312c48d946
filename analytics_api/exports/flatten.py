"""Documents into cells: what a skeleton's path finds in a JSON document, and how a value is written.

Documents come from thousands of nodes, deformed ones among them: a path that meets a value of another shape
than the skeleton expects gives an empty cell, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from analytics_api.exports.skeleton import COUNT, Path


def cells(document: Any, paths: Sequence[Path]) -> list[str]:
    """The cells of one row.

    Args:
        document: parsed JSON of any shape.
        paths: the columns, as :func:`analytics_api.exports.skeleton.paths` lists them.
    """
    return [written(find(document, path)) for path in paths]


def find(document: Any, path: Path) -> Any:
    """The value at a path, None where there is none. A final ``count`` counts the list before it."""
    value = document
    for position, part in enumerate(path):
        if part == COUNT and position == len(path) - 1 and isinstance(value, list):
            return len(value)
        if isinstance(part, str):
            value = value.get(part) if isinstance(value, dict) else None
        elif isinstance(value, list):
            value = value[part] if part < len(value) else None
        else:
            value = None
        if value is None:
            return None
    return value


def written(value: Any) -> str:
    """A value as the text of a cell: plain lists joined by spaces, what is deeper as JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case list() if all(not isinstance(item, (list, dict)) for item in value):
            return " ".join(str(item) for item in value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
        case _:
            return str(value)
