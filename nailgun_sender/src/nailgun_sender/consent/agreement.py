"""Cuts a record down to what the operator agreed to: a field that the agreed text does not name is not sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .texts import level_named


@dataclass
class _Branch:
    """A step of the fields' paths; ``agreed`` of the field that ends here, None where none does."""

    agreed: bool | None = None
    below: dict[str, _Branch] = field(default_factory=dict)


def agreed(document: Mapping[str, Any], levels: Sequence[str], text_version: int) -> dict[str, Any]:
    """The parts of a record that the text of that version named in these levels.

    A field means all below it, except fields below it that only a later text named.
    """
    kept = _keep(document, _tree(tuple(levels), text_version), False)
    assert isinstance(kept, dict)
    return kept


def _keep(value: Any, branch: _Branch, inherited: bool) -> Any:
    if isinstance(value, Mapping):
        kept = {}
        for name, inner in value.items():
            below = branch.below.get(name)
            if below is None:
                if inherited:
                    kept[name] = inner
                continue
            wanted = inherited if below.agreed is None else below.agreed
            if wanted or below.below:
                kept[name] = _keep(inner, below, wanted)
        return kept
    if isinstance(value, list) and "[]" in branch.below:
        return [_keep(inner, branch.below["[]"], inherited) for inner in value]
    return value if inherited else None


@lru_cache(maxsize=64)
def _tree(levels: tuple[str, ...], text_version: int) -> _Branch:
    root = _Branch()
    for name in levels:
        for each in level_named(name).fields:
            branch = root
            for step in each.path.replace("[]", ".[]").split("."):
                branch = branch.below.setdefault(step, _Branch())
            branch.agreed = each.since <= text_version
    return root
