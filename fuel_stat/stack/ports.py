"""Choosing ports: the one asked for, the one remembered, the usual one, or a free one."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping

from fuel_stat.errors import OperatorError
from fuel_stat.stack.settings import USUAL_PORTS, Settings

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on that port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this too: without it a port of a connection that just ended looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def free_port(taken: Collection[int] = ()) -> int:
    """A port that nobody listens on and that is not in ``taken``."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def choose(settings: Settings, remembered: Mapping[str, int], running: Collection[str]) -> dict[str, int]:
    """A port for each service.

    Args:
        settings: the operator's wishes.
        remembered: what was chosen last time.
        running: services of ours that are up: they hold their port, and keep it.

    Raises:
        OperatorError: ``port_taken`` when a port that was asked for belongs to somebody else, ``bad_port``.
    """
    chosen: dict[str, int] = {name: remembered[name] for name in running if name in remembered}
    for name in USUAL_PORTS:
        if name in chosen:
            continue
        chosen[name] = _one(name, settings, remembered, set(chosen.values()))
    return chosen


def _one(name: str, settings: Settings, remembered: Mapping[str, int], others: set[int]) -> int:
    asked: int = getattr(settings, f"{name}_port")
    variable = f"FUEL_STAT_{name.upper()}_PORT"
    if asked:
        if not 0 < asked < 65536:
            raise OperatorError(
                "bad_port", f"{variable}={asked} is not a port: choose one from 1024 to 65535."
            )
        if asked in others or not is_free(asked):
            sentence = f"Port {asked} ({variable}) is taken: stop what listens there, or choose another port."
            raise OperatorError("port_taken", sentence)
        return asked
    usual = [] if settings.any_port else [USUAL_PORTS[name]]
    for port in [remembered[name], *usual] if name in remembered else usual:
        if port not in others and is_free(port):
            return port
    return free_port(others)
