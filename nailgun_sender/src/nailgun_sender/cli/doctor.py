"""What could keep this node from sending, checked one by one, with what to do about it.

Without consent nothing is connected to: then only what can be seen from here is checked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from ..consent import Receipts, permission
from ..messenger.answers import collectors_time
from ..messenger.signing import Key, SigningError
from ..messenger.transport import Transport, TransportError
from ..store import Store
from .node import Node

MOST_SKEW_SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """One check: fine or not, what was seen, what to do."""

    what: str
    fine: bool
    sentence: str
    advice: str = ""


def examine(node: Node) -> Iterator[Finding]:
    """All checks; those of the network only when sending is allowed."""
    allowed = False
    try:
        store = Store.open(node.settings)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error)
        yield Finding(
            "database", False, cause, "Check FUEL_STAT_SENDER_DATABASE_URL, permissions and disk space."
        )
    else:
        yield Finding("database", True, "opens and has our tables")
        granted = permission(Receipts(store).current(), node.environ)
        allowed = granted.allowed
        store.close()
        advice = "" if allowed else "To send: fuel-stat-sender consent on"
        yield Finding("consent", True, granted.sentence, advice)
    yield from _key(node)
    if allowed:
        yield from _network(node)
    else:
        yield Finding("network", True, "not looked at: nothing may be sent")


def _key(node: Node) -> Iterator[Finding]:
    path = node.messenger.key_file
    if not path:
        yield Finding("key", True, "reports are not signed (no key_file)")
        return
    if not Path(path).exists():
        yield Finding("key", True, f"{path} is made at enrolment", "To sign: fuel-stat-sender enrol")
        return
    try:
        key = Key.load_or_make(Path(path))
    except SigningError as error:
        yield Finding(
            "key", False, str(error), "Restore the file, or delete it and enrol with a one-time code."
        )
        return
    if Path(path).stat().st_mode & 0o077:
        yield Finding("key", False, f"{path} can be read by others", f"chmod 600 {path}")
        return
    yield Finding("key", True, f"{key.key_id}")


def _network(node: Node) -> Iterator[Finding]:
    address = node.messenger.proxy_url or node.messenger.collector_url
    parts = urlsplit(address)
    name = "proxy" if node.messenger.proxy_url else "names"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield Finding(
            name, False, f"{parts.hostname}: {error}", "Check the name, /etc/resolv.conf and the proxy."
        )
        return
    yield Finding(name, True, f"{parts.hostname} is {found[0][4][0]}")
    yield from _reach(node)


def _reach(node: Node) -> Iterator[Finding]:
    ways = {
        "bad_certificate_file": "Check ca_file, client_cert_file and client_key_file.",
        "bad_certificate": "Set ca_file to the authority that signed the collector's certificate.",
        "timeout": "A firewall may drop the connection: ask for a way out, or set proxy_url.",
        "unreachable": "Check collector_url, the firewall and the proxy.",
    }
    try:
        transport = Transport(node.messenger)
        try:
            answer = transport.request("GET", "/api/v1/ping/", None, {})
        finally:
            transport.close()
    except TransportError as error:
        what = "TLS" if error.code.startswith("bad_certificate") else "collector"
        yield Finding(what, False, str(error), ways.get(error.code, ""))
        return
    fine = answer.status == 200 and (answer.json() or {}).get("status") == "ok"
    advice = "" if fine else "collector_url does not lead to a collector."
    yield Finding("collector", fine, f"answers {answer.status}", advice)
    yield from _clock(collectors_time(answer.headers))


def _clock(theirs: float | None) -> Iterator[Finding]:
    if theirs is None:
        return
    skew = time.time() - theirs
    fine = abs(skew) <= MOST_SKEW_SECONDS
    advice = "" if fine else "Set the clock (chrony, ntpd): durations stay right, days may be wrong."
    yield Finding("clock", fine, f"{skew:+.0f} s against the collector's", advice)
