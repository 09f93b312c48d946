"""Who makes room when all places are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from ingest_api.connection import Connection, Phase
from ingest_api.places import Places, network_of


@dataclass(eq=False)
class Waiting:
    """As much of a connection as a place needs."""

    network: str
    phase: Phase = Phase.HEAD


def fill(places: Places, *waiting: Waiting) -> list[Connection]:
    """Give each its place, in order."""
    connections = [cast(Connection, cast(Any, one)) for one in waiting]
    for connection in connections:
        places.put(connection)
    return connections


def test_a_network_with_more_than_its_share_makes_room_itself() -> None:
    """A flood from one network does not push out the connection of another, however old that is."""
    places = Places(8)
    (other, first, _, _) = fill(places, Waiting("1.1.1"), *(Waiting("6.6.6") for _ in range(3)))
    assert places.victim("6.6.6") is first
    assert places.victim("2.2.2") is other


def test_those_that_are_answered_go_first_then_the_oldest() -> None:
    """A connection that only lingers is worth least; a new phase makes young."""
    places = Places(100)
    old, lingering, young = fill(places, Waiting("a"), Waiting("b", Phase.LINGERING), Waiting("c"))
    assert places.victim("d") is lingering
    places.remove(lingering)
    assert places.victim("d") is old
    places.put(old)
    assert places.victim("d") is young
    for connection in (old, young):
        places.remove(connection)
    assert places.victim("d") is None
    assert list(places) == []


def test_networks_are_told_apart() -> None:
    """IPv4 by 24 bits, IPv6 by its first three groups; a socket in the file system has none."""
    assert network_of(("10.1.2.3", 5)) == network_of(("10.1.2.4", 6)) != network_of(("10.1.3.3", 5))
    assert network_of(("2001:db8:1:2::3", 5, 0, 0)) == network_of(("2001:db8:1:9::9", 5, 0, 0))
    assert network_of("") == ""
