"""Loaded by every Python process of a stack under test: writes down who runs, and who talks beyond this machine.

A connection to another host, or the wish to know its address, goes to ``outbound.log`` in the folder that
FUEL_STAT_TEST_WATCH names; each program that was watched leaves a line in ``watched.log``.
"""

import contextlib
import ipaddress
import os
import sys

FOLDER = os.environ.get("FUEL_STAT_TEST_WATCH")


def _local(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        # The machine's own name: asked for by whoever wants to say where it runs.
        return name in (os.uname().nodename, os.uname().nodename.partition(".")[0])


def _write(name: str, text: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(f"{FOLDER}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(descriptor, f"{text}\n".encode())
        finally:
            os.close(descriptor)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if not isinstance(address, tuple):  # a unix socket
            return
        host = address[0]
    else:
        return
    if not _local(host):
        _write("outbound.log", f"{event} {host!r} {sys.argv[:3]}")


if FOLDER:
    sys.addaudithook(_hook)
    _write("watched.log", " ".join([sys.executable, *sys.orig_argv[1:6]]))
