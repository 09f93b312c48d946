"""What the collector listens on, and whether that is TLS; plain HTTP beyond loopback only when it is wanted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fuel_stat.errors import OperatorError
from ingest_api.settings import Settings


@dataclass(frozen=True)
class Listener:
    """A bound address (host and port, or the path of a socket in the file system), and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """As people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else self.host

    @property
    def exposed(self) -> bool:
        """Plain HTTP that other machines can reach: who sits between can read along."""
        return bool(self.port) and not self.tls and not _is_loopback(self.host)


def addresses(settings: Settings) -> list[str]:
    """What gunicorn is to bind.

    Raises:
        OperatorError: ``bad_option`` when only one of certificate and key is there, or there is nothing to bind.
    """
    if bool(settings.certfile) != bool(settings.keyfile):
        names = "FUEL_STAT_INGEST_CERTFILE and FUEL_STAT_INGEST_KEYFILE"
        raise OperatorError("bad_option", f"{names} belong together: set both or none.")
    found = list(dict.fromkeys([*_split(settings.bind), *_split(settings.plain_bind)]))
    if not found:
        raise OperatorError("bad_option", "FUEL_STAT_INGEST_BIND names no address to listen on.")
    return found


def plain_addresses(settings: Settings) -> frozenset[tuple[str, int]]:
    """Host and port of the listeners that never speak TLS.

    Raises:
        OperatorError: ``bad_option`` for what is no IP address with a port.
    """
    found = set()
    for text in _split(settings.plain_bind):
        host, _, port = text.rpartition(":")
        try:
            found.add((str(ipaddress.ip_address(host.strip("[]"))), int(port)))
        except ValueError as error:
            sentence = f"FUEL_STAT_INGEST_PLAIN_BIND: {text!r} is not an IP address with a port."
            raise OperatorError("bad_option", sentence) from error
    return frozenset(found)


def listening(names: Iterable[Any], plain: frozenset[tuple[str, int]], *, tls: bool) -> tuple[Listener, ...]:
    """The listeners by the names of their sockets (``getsockname()``), or by what is going to be bound."""
    return tuple(
        Listener(name[0], name[1], tls and tuple(name[:2]) not in plain)
        if isinstance(name, tuple)
        else Listener(str(name), 0, False)
        for name in names
    )


def refuse_exposed(found: Sequence[Listener], *, allowed: bool) -> None:
    """Hold the rule about plain HTTP.

    Raises:
        OperatorError: ``plain_http``.
    """
    exposed = [listener.address for listener in found if listener.exposed]
    if exposed and not allowed:
        sentence = (
            f"{', '.join(exposed)} would speak plain HTTP beyond loopback. Put a proxy with TLS in front"
            " (deploy/nginx.conf), or set FUEL_STAT_INGEST_CERTFILE and FUEL_STAT_INGEST_KEYFILE;"
            " who wants it all the same sets FUEL_STAT_INGEST_ALLOW_PLAIN_HTTP=1."
        )
        raise OperatorError("plain_http", sentence)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name: where it leads is not known before it is bound, except for this one.
        return host == "localhost"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
