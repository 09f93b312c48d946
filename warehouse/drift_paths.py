"""The paths of JSON records, counted while walking through them; values are looked at for their type only.

Records of a kind are much alike, so the paths are a tree that is walked along with each record: strings are made only
for a path that was not there before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

# Names that are identifiers (numbers, digests, addresses, host names) would make every record's paths new,
# and would be values.
_PLAIN_NAME = re.compile(r"(?![0-9a-fA-F-]{12,}$)[A-Za-z_][A-Za-z_:-]*[0-9]{0,3}[A-Za-z_:-]*")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
_LONGEST_NAME = 64
_LONGEST_RELEASE = 32
_MAX_DEPTH = 30


class Sight:
    """A path of a type: when it was seen first and last, in how many records, from which releases."""

    __slots__ = ("first", "last", "path", "records", "releases", "stamp", "type")

    def __init__(self, path: str, of_type: str, moment: datetime) -> None:
        self.path, self.type = path, of_type
        self.first = self.last = moment
        self.records = self.stamp = 0
        self.releases: set[str] = set()


class _Node:
    """A place in the tree: what it was seen as, and what is below it."""

    __slots__ = ("inner", "items", "path", "seen")

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen: dict[type, Sight] = {}
        self.inner: dict[str, _Node] = {}
        self.items: _Node | None = None


class Paths:
    """All paths of the records that were added; beyond ``LIMIT`` paths no new ones are taken in."""

    LIMIT: ClassVar[int] = 20_000

    def __init__(self) -> None:
        self.records = 0
        self._root = _Node("")
        self._size = 0
        self._moment = datetime.min.replace(tzinfo=UTC)
        self._release: str | None = None

    def add(self, record: Any, received_at: datetime, release: str | None = None) -> None:
        """Count the paths of a record."""
        self.records += 1
        self._moment = received_at
        self._release = release if release and len(release) <= _LONGEST_RELEASE else None
        self._walk(record, self._root, 0)

    def sights(self) -> Iterator[Sight]:
        """What was seen, the records themselves left out."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.path:
                yield from node.seen.values()
            waiting += node.inner.values()
            waiting += [node.items] if node.items else []

    def _walk(self, value: Any, node: _Node, depth: int) -> None:
        kind = type(value)
        sight = node.seen.get(kind)
        if sight is None:
            sight = node.seen[kind] = Sight(node.path, _TYPES.get(kind, "null"), self._moment)
        if sight.stamp != self.records:
            self._count(sight)
        if depth >= _MAX_DEPTH:
            return
        if kind is dict:
            for name, inner in value.items():
                child = node.inner.get(name) or self._child(node, name)
                if child is not None:
                    self._walk(inner, child, depth + 1)
        elif kind is list and value:
            if node.items is None:
                node.items = self._new(f"{node.path}[]")
            if node.items is not None:
                for inner in value:
                    self._walk(inner, node.items, depth + 1)

    def _count(self, sight: Sight) -> None:
        sight.stamp = self.records
        sight.records += 1
        if self._moment < sight.first:
            sight.first = self._moment
        elif self._moment > sight.last:
            sight.last = self._moment
        if self._release is not None:
            sight.releases.add(self._release)

    def _child(self, node: _Node, name: str) -> _Node | None:
        shown = name if len(name) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(name) else "{name}"
        child = node.inner.get(shown)
        if child is None:
            child = self._new(f"{node.path}.{shown}" if node.path else shown)
            if child is not None:
                node.inner[shown] = child
        return child

    def _new(self, path: str) -> _Node | None:
        if self._size >= self.LIMIT:
            return None
        self._size += 1
        return _Node(path)
