"""Quotas and whose address counts."""

from __future__ import annotations

import pytest

from ingest_api.errors import QuotaExceededError
from ingest_api.limits import Buckets, Limits, Quota, client_prefix, parse_networks

PROXIES = parse_networks("10.0.0.1, 192.168.0.0/16")


@pytest.mark.parametrize(
    ("peer", "forwarded", "wanted"),
    [
        ("8.8.8.8", None, "8.8.8.0/24"),
        ("8.8.8.8", "1.2.3.4", "8.8.8.0/24"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.0/24"),
        ("10.0.0.1", "5.5.5.5, 1.2.3.4", "1.2.3.0/24"),
        ("10.0.0.1", "5.5.5.5, 1.2.3.4, 192.168.7.7", "1.2.3.0/24"),
        ("10.0.0.1", "nonsense", "10.0.0.0/24"),
        ("2001:db8:1:2::3", None, "2001:db8:1::/48"),
        ("", None, "unknown"),
    ],
)
def test_a_forwarded_address_is_believed_only_from_a_proxy(
    peer: str, forwarded: str | None, wanted: str
) -> None:
    """What a client wrote itself never counts; behind proxies it is the last address that is no proxy."""
    assert client_prefix(peer, forwarded, PROXIES) == wanted


def test_a_bucket_empties_and_refills() -> None:
    """So many at once; then a 429 that says when; after that time one more; other keys are not touched."""
    now = [0.0]
    buckets = Buckets(Quota("node_quota", 3, 3600), clock=lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(QuotaExceededError) as caught:
        buckets.take("a")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, "node_quota", 1)
    buckets.take("b")
    now[0] += 1.0
    buckets.take("a")
    with pytest.raises(QuotaExceededError):
        buckets.take("a")


def test_new_nodes_are_counted_by_network_and_known_ones_are_not() -> None:
    """A network may bring so many new uids; known uids and those already counted pass."""
    off = Quota("off", 0, 0)
    limits = Limits(off, off, Quota("new_nodes_quota", 2, 2), lambda uid: uid.startswith("known"))
    limits.take_nodes("1.2.3.0/24", ["known-1", "new-1", "new-2", "new-1"])
    with pytest.raises(QuotaExceededError, match="seconds"):
        limits.take_nodes("1.2.3.0/24", ["new-3"])
    limits.take_nodes("1.2.3.0/24", ["known-2", "new-2"])
    limits.take_nodes("9.9.9.0/24", ["new-3"])
