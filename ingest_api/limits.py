"""Quotas: approximate token buckets in each worker, so that no one floods the collector. What is limited is 429.

A legacy node that is limited loses nothing: it sends again. Each worker counts by itself and grants its share of what
is configured, so that all together grant that much and, by rounding, at most one a worker more. A client whose one kept
connection lies with one worker meets that worker's share.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ingest_api.errors import QuotaExceededError

_MOST_BUCKETS = 50_000
_LONGEST_ADDRESS = 64
_UNIT = 65_536
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Quota:
    """So many at once, and so many an hour in the long run; ``an_hour`` 0 means no limit."""

    name: str
    at_once: int
    an_hour: int


def shared_out(name: str, an_hour: int, workers: int) -> Quota:
    """One worker's share of a quota, rounded up: a quota of one is still one."""
    share = math.ceil(an_hour / max(1, workers))
    return Quota(name, share, share)


@dataclass(frozen=True)
class Quotas:
    """What one worker grants.

    Attributes:
        node: requests of one uid, from one network when they are not signed.
        prefix: requests from one network (IPv4 /24, IPv6 /48).
        new_nodes: uids never seen before, from one network.
        all_new_nodes: the same from everywhere.
    """

    node: Quota
    prefix: Quota
    new_nodes: Quota
    all_new_nodes: Quota


class Buckets:
    """One token bucket a key; keys that were not used for longest are forgotten first."""

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.monotonic) -> None:
        self.quota = quota
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: int = 1) -> None:
        """Take so many tokens, or as many as there can be at once.

        Raises:
            QuotaExceededError: there are not enough; says when there will be.
        """
        if not self.quota.an_hour:
            return
        now, refill = self._clock(), self.quota.an_hour / 3600
        cost = min(cost, self.quota.at_once)
        with self._lock:
            level, since = self._levels.pop(key, (float(self.quota.at_once), now))
            level = min(float(self.quota.at_once), level + (now - since) * refill)
            enough = level >= cost
            self._levels[key] = (level - cost if enough else level, now)
            if len(self._levels) > _MOST_BUCKETS:
                self._levels.popitem(last=False)
        if not enough:
            wait = max(1, math.ceil((cost - level) / refill))
            raise QuotaExceededError(
                self.quota.name, f"Too much was sent; send again after {wait} seconds.", wait
            )


class Limits:
    """Holds a worker's clients to its quotas.

    Args:
        quotas: this worker's share.
        is_known: whether the database knows a uid; asked once a uid and worker.
    """

    def __init__(self, quotas: Quotas, is_known: Callable[[str], bool]) -> None:
        self._nodes, self._prefixes = Buckets(quotas.node), Buckets(quotas.prefix)
        self._new, self._all_new = Buckets(quotas.new_nodes), Buckets(quotas.all_new_nodes)
        self._counts_new = bool(quotas.new_nodes.an_hour or quotas.all_new_nodes.an_hour)
        self._is_known = is_known
        self._seen: OrderedDict[str, None] = OrderedDict()

    def take_request(self, prefix: str, size: int) -> None:
        """Count a request before its body is read: once, and once more for each 64 kB of it.

        Raises:
            QuotaExceededError: ``prefix_quota``.
        """
        self._prefixes.take(prefix, 1 + size // _UNIT)

    def take_inflated(self, prefix: str, size: int) -> None:
        """Count what came out of a compressed body.

        Raises:
            QuotaExceededError: ``prefix_quota``.
        """
        self._prefixes.take(prefix, size // _UNIT)

    def take_nodes(self, prefix: str, uids: Sequence[str], signed: Container[str] = ()) -> None:
        """Count the nodes of a request before anything of it is stored.

        Who only knows a uid must not use up its node's quota: requests with the node's own signature count by
        themselves, and unsigned ones by the network they come from.

        Raises:
            QuotaExceededError: ``node_quota``, ``new_nodes_quota``, ``all_new_nodes_quota``.
        """
        for uid in uids:
            self._nodes.take(uid if uid in signed else f"{prefix} {uid}")
            if not self._counts_new or uid in self._seen:
                continue
            if not self._is_known(uid):
                self._new.take(prefix)
                self._all_new.take("")
            self._seen[uid] = None
            while len(self._seen) > _MOST_BUCKETS:
                self._seen.popitem(last=False)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, by comma.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_prefix(peer: str, forwarded: str | None, proxies: Sequence[Network]) -> str:
    """The network a request comes from.

    ``X-Forwarded-For`` counts only when the peer is a configured proxy, and then its last address that is none:
    whatever a client wrote itself stands further left.
    """
    address = _address(peer)
    if address is None:
        return "unknown"
    for hop in reversed((forwarded or "").split(",")) if forwarded else ():
        if not any(address in network for network in proxies):
            break
        earlier = _address(hop.strip())
        if earlier is None:
            break
        address = earlier
    return _network(address)


@lru_cache(maxsize=4096)
def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    bits = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # No address is longer; anything longer is not remembered either.
    return _parsed(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
