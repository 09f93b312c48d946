"""Which ports the stack takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.stack import ports
from fuel_stat.stack.settings import USUAL_PORTS, Settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback on which somebody else listens."""
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_asked_for_that_is_taken_is_named_with_its_variable(taken: int) -> None:
    """An explicit port is binding: another one is not chosen silently."""
    with pytest.raises(OperatorError) as caught:
        ports.choose(Settings(ingest_port=taken), {}, ())
    assert caught.value.code == "port_taken"
    assert str(taken) in caught.value.sentence
    assert "FUEL_STAT_INGEST_PORT" in caught.value.sentence


def test_a_remembered_port_that_is_taken_by_another_is_replaced(taken: int) -> None:
    """What was remembered is a wish: when somebody else has it now, a free one is chosen."""
    chosen = ports.choose(Settings(any_port=True), {"airflow": taken}, ())
    assert chosen["airflow"] != taken
    assert ports.is_free(chosen["airflow"])


def test_a_port_that_our_own_service_holds_is_kept(taken: int) -> None:
    """A second `up` leaves what runs where it is."""
    chosen = ports.choose(Settings(any_port=True), {"analytics": taken}, ["analytics"])
    assert chosen["analytics"] == taken


def test_a_free_remembered_port_is_taken_again() -> None:
    """Addresses stay the same from one `up` to the next."""
    port = ports.free_port()
    assert ports.choose(Settings(any_port=True), {"ingest": port}, ())["ingest"] == port


def test_all_ports_differ() -> None:
    """No two services get one port, also when the same one is remembered for two."""
    port = ports.free_port()
    chosen = ports.choose(Settings(any_port=True), dict.fromkeys(USUAL_PORTS, port), ())
    assert len(set(chosen.values())) == len(USUAL_PORTS)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_what_is_not_a_port_is_refused(port: int) -> None:
    """A number outside the range of ports is the operator's mistake."""
    with pytest.raises(OperatorError, match="is not a port"):
        ports.choose(Settings(ingest_port=port), {}, ())
