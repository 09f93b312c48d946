"""What a worker remembers of keys and blocks, so that a legacy node's request costs no round trip.

The whole set of bound keys is small (one row an enrolled node). A sequence counts the changes; it is read at most
every ``MAX_AGE_SECONDS`` and the set is read again only when it moved. A change is therefore seen by every worker
within that time, and at once by the worker that made it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

MAX_AGE_SECONDS = 2.0

_VERSION = "select last_value, is_called from collector.identity_version"
_KEYS = "select node, key_id, public_key, tier, state from collector.node_key where state in ('active', 'revoked')"
_BLOCKS = "select node from collector.node_block"


@dataclass(frozen=True)
class BoundKey:
    """A key that speaks, or once spoke, for a node."""

    node: UUID
    key_id: str
    public_key: bytes
    tier: int
    revoked: bool


@dataclass(frozen=True)
class Known:
    """A snapshot: active keys by node, all known keys by (node, key id), blocked nodes."""

    active: Mapping[UUID, BoundKey] = field(default_factory=dict)
    by_id: Mapping[str, tuple[BoundKey, ...]] = field(default_factory=dict)
    blocked: frozenset[UUID] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nobody has a key and nobody is blocked: every request is a legacy node's."""
        return not self.by_id and not self.blocked


class Directory:
    """The cached snapshot of one worker; safe to use from its threads."""

    def __init__(self, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self._max_age = max_age_seconds
        self._lock = threading.Lock()
        self._known = Known()
        self._version: Any = None
        self._checked_at = float("-inf")

    def known(self, connection: Any) -> Known:
        """The snapshot, at most ``max_age_seconds`` old; ``connection`` is a psycopg 3 connection of the collector."""
        fresh = self.fresh()
        if fresh is not None:
            return fresh
        with self._lock:
            if self.fresh() is None:
                self._refresh(connection)
            return self._known

    def fresh(self) -> Known | None:
        """The snapshot when it is young enough to be used without asking the database, else None."""
        if time.monotonic() - self._checked_at < self._max_age:
            return self._known
        return None

    def forget(self) -> None:
        """Read anew at the next question: this worker has just changed something."""
        self._checked_at = float("-inf")

    def _refresh(self, connection: Any) -> None:
        version = tuple(connection.execute(_VERSION).fetchone())
        if version != self._version:
            self._known = _read(connection)
            self._version = version
        self._checked_at = time.monotonic()


def _read(connection: Any) -> Known:
    active: dict[UUID, BoundKey] = {}
    by_id: dict[str, list[BoundKey]] = {}
    for node, key_id, public_key, tier, state in connection.execute(_KEYS):
        key = BoundKey(node, key_id, bytes(public_key), tier, state == "revoked")
        by_id.setdefault(key_id, []).append(key)
        if state == "active":
            active[node] = key
    blocked = frozenset(row[0] for row in connection.execute(_BLOCKS))
    return Known(active, {name: tuple(keys) for name, keys in by_id.items()}, blocked)
