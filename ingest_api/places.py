"""Who gets a place when there are more connections than places: the ones that wait for nothing, then the oldest.

A network that holds more than its share makes room itself, so that one that floods cannot push out the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest_api.connection import Connection, Phase

#: a network may hold one place in so many before its own connections make room for its next ones
_SHARE = 4


def network_of(client: Any) -> str:
    """A name for the network of a peer's address, cheap to make: IPv4 /24, IPv6 /48 or so."""
    if not isinstance(client, tuple):
        return ""
    host = str(client[0])
    return ":".join(host.split(":")[:3]) if ":" in host else host.rpartition(".")[0]


class Places:
    """The connections that wait for their client, oldest first.

    Args:
        total: how many connections there may be.
    """

    def __init__(self, total: int) -> None:
        self._share = max(1, total // _SHARE)
        self._waiting: dict[Connection, None] = {}
        self._answered: dict[Connection, None] = {}
        self._networks: dict[str, dict[Connection, None]] = {}

    def __iter__(self) -> Iterator[Connection]:
        yield from list(self._waiting)
        yield from list(self._answered)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._waiting or connection in self._answered

    def put(self, connection: Connection) -> None:
        """Make it the youngest; its phase says whether it has been answered already."""
        self.remove(connection)
        kind = self._answered if connection.phase is Phase.LINGERING else self._waiting
        kind[connection] = None
        self._networks.setdefault(connection.network, {})[connection] = None

    def remove(self, connection: Connection) -> None:
        """It no longer waits."""
        self._waiting.pop(connection, None)
        self._answered.pop(connection, None)
        neighbours = self._networks.get(connection.network)
        if neighbours is not None:
            neighbours.pop(connection, None)
            if not neighbours:
                del self._networks[connection.network]

    def victim(self, network: str) -> Connection | None:
        """Who makes room for a newcomer from this network; None when all are being worked for."""
        neighbours = self._networks.get(network, {})
        groups = [neighbours] if len(neighbours) > self._share else []
        for group in (*groups, self._answered, self._waiting):
            if group:
                return next(iter(group))
        return None
