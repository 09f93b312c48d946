"""Quotas and whose address counts."""

from __future__ import annotations

import pytest

from ingest_api.errors import QuotaExceededError
from ingest_api.limits import Buckets, Limits, Quota, Quotas, client_prefix, parse_networks, shared_out

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
    quotas = Quotas(off, off, Quota("new_nodes_quota", 2, 2), off)
    limits = Limits(quotas, lambda uid: uid.startswith("known"))
    limits.take_nodes("1.2.3.0/24", ["known-1", "new-1", "new-2", "new-1"])
    with pytest.raises(QuotaExceededError, match="seconds"):
        limits.take_nodes("1.2.3.0/24", ["new-3"])
    limits.take_nodes("1.2.3.0/24", ["known-2", "new-2"])
    limits.take_nodes("9.9.9.0/24", ["new-3"])


def test_new_nodes_are_counted_from_everywhere_too() -> None:
    """Many networks, each with few new uids, meet the cap of all; known uids still pass."""
    off = Quota("off", 0, 0)
    limits = Limits(Quotas(off, off, off, Quota("all_new_nodes_quota", 3, 3)), lambda uid: uid == "known")
    for number in range(3):
        limits.take_nodes(f"1.2.{number}.0/24", [f"new-{number}"])
    with pytest.raises(QuotaExceededError) as caught:
        limits.take_nodes("1.2.9.0/24", ["new-9"])
    assert (caught.value.code, caught.value.retry_after) == ("all_new_nodes_quota", 1200)
    limits.take_nodes("1.2.9.0/24", ["known"])


def granted_by(quota: Quota) -> int:
    """How many a worker takes at once before it refuses."""
    buckets = Buckets(quota, clock=lambda: 0.0)
    for granted in range(10_000):
        try:
            buckets.take("a")
        except QuotaExceededError:
            return granted
    raise AssertionError("there was no end")


@pytest.mark.parametrize(("configured", "workers"), [(5000, 2), (3, 2), (1, 4), (7, 3), (100, 1)])
def test_the_workers_shares_are_what_was_configured(configured: int, workers: int) -> None:
    """All workers together grant the quota and, by rounding, less than one a worker more; none is 0."""
    granted = sum(granted_by(shared_out("node_quota", configured, workers)) for _ in range(workers))
    assert configured <= granted < configured + workers


def test_no_quota_stays_no_quota() -> None:
    """0 means no limit, with however many workers."""
    assert shared_out("node_quota", 0, 4).an_hour == 0


def test_an_outsider_cannot_use_up_a_nodes_quota() -> None:
    """Unsigned requests in its name from elsewhere, or beside its own signed ones, leave the node its quota."""
    off = Quota("off", 0, 0)
    limits = Limits(Quotas(Quota("node_quota", 2, 2), off, off, off), lambda uid: True)
    for _ in range(2):
        limits.take_nodes("6.6.6.0/24", ["node"])
    with pytest.raises(QuotaExceededError):
        limits.take_nodes("6.6.6.0/24", ["node"])
    limits.take_nodes("1.2.3.0/24", ["node"])
    limits.take_nodes("6.6.6.0/24", ["node"], signed={"node"})
    limits.take_nodes("1.2.3.0/24", ["node"], signed={"node"})
    with pytest.raises(QuotaExceededError):
        limits.take_nodes("9.9.9.0/24", ["node"], signed={"node"})


def test_a_large_request_counts_more() -> None:
    """Once for each 64 kB, as sent and as inflated; one larger than the whole quota is taken when nothing else was."""
    off = Quota("off", 0, 0)
    limits = Limits(Quotas(off, Quota("prefix_quota", 10, 10), off, off), lambda uid: True)
    limits.take_request("a", 8 * 65_536)
    limits.take_request("a", 100)
    with pytest.raises(QuotaExceededError):
        limits.take_request("a", 0)
    limits.take_request("b", 0)
    limits.take_inflated("b", 9 * 65_536)
    with pytest.raises(QuotaExceededError):
        limits.take_request("b", 0)
    limits.take_request("c", 10**9)
