"""What counts as plain HTTP beyond loopback."""

from __future__ import annotations

import pytest

from fuel_stat.errors import OperatorError
from ingest_api.listeners import addresses, listening, plain_addresses, refuse_exposed
from ingest_api.settings import Settings


@pytest.mark.parametrize(
    ("name", "tls", "exposed"),
    [
        (("127.0.0.1", 8001), False, False),
        (("127.9.9.9", 8001), False, False),
        (("::1", 8001, 0, 0), False, False),
        (("localhost", 8001), False, False),
        ("/run/ingest.sock", False, False),
        (("0.0.0.0", 8001), False, True),
        (("::", 8001, 0, 0), False, True),
        (("10.0.0.5", 8001), False, True),
        (("collector", 8001), False, True),
        (("0.0.0.0", 8443), True, False),
    ],
)
def test_only_plain_http_that_others_can_reach_is_exposed(name: object, tls: bool, exposed: bool) -> None:
    """Loopback and sockets in the file system are not, TLS is not; every other address and any other name is."""
    (listener,) = listening([name], frozenset(), tls=tls)
    assert listener.exposed is exposed
    if exposed:
        with pytest.raises(OperatorError, match="ALLOW_PLAIN_HTTP"):
            refuse_exposed([listener], allowed=False)
        refuse_exposed([listener], allowed=True)
    else:
        refuse_exposed([listener], allowed=False)


def test_a_plain_listener_beyond_loopback_is_exposed_although_there_is_a_certificate() -> None:
    """The further plain address must be on this machine, too."""
    settings = Settings(bind="0.0.0.0:8443", plain_bind="10.0.0.5:8001", certfile="c", keyfile="k")
    assert addresses(settings) == ["0.0.0.0:8443", "10.0.0.5:8001"]
    found = listening([("0.0.0.0", 8443), ("10.0.0.5", 8001)], plain_addresses(settings), tls=True)
    assert [(one.address, one.exposed) for one in found] == [
        ("0.0.0.0:8443", False),
        ("10.0.0.5:8001", True),
    ]


def test_options_that_make_no_sense_are_refused() -> None:
    """No address at all, and a plain address that is a name."""
    with pytest.raises(OperatorError, match="no address"):
        addresses(Settings(bind=""))
    with pytest.raises(OperatorError, match="not an IP address"):
        plain_addresses(Settings(plain_bind="somewhere:80"))
