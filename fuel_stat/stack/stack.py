"""The local stack as a whole: start it, stop it, say where everything is."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuel_stat.errors import FuelStatError, OperatorError
from fuel_stat.settings import from_env
from fuel_stat.stack import airflow_setup, databases, health, ports, process, secrets
from fuel_stat.stack.environment import Wiring
from fuel_stat.stack.layout import Layout, layout, prepare
from fuel_stat.stack.services import AIRFLOW, Service, services
from fuel_stat.stack.settings import Settings
from fuel_stat.state import read_secrets, read_state, write_state

Say = Callable[[str], None]

#: The process that stops the stack of a test run that was killed.
WATCHDOG = "watchdog"

#: Seconds before a kill where they differ from the rest. The triggerer holds nothing: its triggers are rows of the
#: metadata, and left alone it takes 12 s to notice that it has nothing to finish.
_PATIENCE = {WATCHDOG: 1.0, "airflow-triggerer": 2.0}


class StackError(FuelStatError):
    """The stack, or a part of it, did not come up."""


@dataclass(frozen=True)
class Stack:
    """A stack whose ports and secrets are chosen: what commands work with."""

    settings: Settings
    wiring: Wiring
    servers: databases.Servers

    @property
    def layout(self) -> Layout:
        """Where the stack keeps things."""
        return self.wiring.layout


def open_stack() -> Stack:
    """The stack as the last ``up`` left it.

    Raises:
        OperatorError: ``no_stack`` when there was none.
    """
    where = layout()
    state = read_state(where.home)
    known = read_secrets(where.home)
    if not state.get("ports"):
        raise OperatorError("no_stack", f"There is no stack in {where.home}: run `make up`.")
    if secrets.MAKERS.keys() - known.keys():
        sentence = (
            f"{where.home / 'secrets.env'} is not complete: put it back from your copy, or run `make up`."
        )
        raise OperatorError("secrets_incomplete", sentence)
    settings = from_env(Settings, os.environ)
    return _assemble(settings, where, state["ports"], known, Path(state["folders"]["databases"]))


def _assemble(
    settings: Settings, where: Layout, chosen: dict[str, int], known: dict[str, str], data: Path
) -> Stack:
    wiring = Wiring(where, chosen, known, data)
    these = databases.servers(data, chosen, known, settings.pg_bin or None)
    return Stack(settings, wiring, these)


def _begin() -> tuple[Stack, dict[str, Any]]:
    """Choose folders, secrets and ports, and remember them."""
    where = layout()
    prepare(where)
    settings = from_env(Settings, os.environ)
    state = read_state(where.home)
    data = Path(
        state.get("folders", {}).get("databases") or databases.data_folder(where.home, databases.user())
    )
    before = read_secrets(where.home)
    data_exists = (data / "primary").exists()
    known = secrets.ensure(where.home, data_exists=data_exists)
    remembered = state.get("ports", {})
    stack = _assemble(settings, where, dict(remembered) or _no_ports(), known, data)
    chosen = ports.choose(settings, remembered, _holding(stack) if remembered else ())
    stack = _assemble(settings, where, chosen, known, data)
    state |= describe(stack)
    write_state(state, where.home)
    if data_exists and "POSTGRES_PASSWORD" not in before:
        databases.adopt_password(stack.servers)
    return stack, state


def _no_ports() -> dict[str, int]:
    return dict.fromkeys(("primary", "standby", "analytic", "ingest", "analytics", "airflow"), 0)


def _holding(stack: Stack) -> list[str]:
    """Names of the ports that processes of ours hold now."""
    running = process.running(stack.layout.run)
    held = [cluster.name for cluster in stack.servers.all() if cluster.is_running()]
    held += [name for name in ("ingest", "analytics") if name in running]
    return held + ["airflow"] * ("airflow-api-server" in running)


def describe(stack: Stack) -> dict[str, Any]:
    """What ``state.json`` says: ports, addresses without passwords, folders, versions."""
    wiring = stack.wiring
    binaries = stack.servers.primary.binaries
    return {
        "ports": dict(wiring.ports),
        "urls": {name: wiring.url(name) for name in ("ingest", "analytics", "airflow")},
        "dsns": {
            name: wiring.dsn(name, password=False)
            for name in ("collector_primary", "collector_standby", "analytic")
        },
        "folders": {
            "databases": str(stack.servers.primary.data.parent),
            "binaries": str(binaries.folder),
            "backups": str(stack.layout.backups),
            "wal_archive": str(wiring.wal_archive),
            "logs": str(stack.layout.logs),
        },
        "postgres": {"version": ".".join(map(str, binaries.version)), "origin": binaries.origin},
    }


def up(say: Say) -> Stack:
    """Start everything that does not run yet and wait until all of it is healthy.

    Args:
        say: is told what happens, a few words at a time.

    Raises:
        OperatorError: the machine or the options do not allow it.
        StackError: ``unhealthy`` when a service did not answer in time.
    """
    say("preparing")
    stack, state = _begin()
    wanted = services(stack.wiring, stack.settings.left_out)
    _watch_parent(stack)
    say("starting databases")
    databases.start(stack.servers, say)
    if "airflow" not in stack.settings.left_out:
        say("preparing Airflow")
        airflow_setup.prepare(stack.wiring, state)
        write_state(state, stack.layout.home)
    say("starting services")
    running = process.running(stack.layout.run)
    for service in wanted:
        if service.name not in running:
            start_service(stack, service)
    _wait_healthy(stack, wanted, say)
    return stack


def _watch_parent(stack: Stack) -> None:
    """Before anything else runs: somebody who stops it all when the one who wanted it has gone."""
    parent = stack.settings.parent_pid
    if not parent or WATCHDOG in process.running(stack.layout.run):
        return
    began = process.start_time(parent)
    if began is None:
        raise OperatorError("no_parent", f"FUEL_STAT_PARENT_PID={parent} is not a running process.")
    command = [sys.executable, "-m", "fuel_stat.stack.watchdog", str(parent), str(began)]
    start_service(stack, Service(WATCHDOG, command))


def start_service(stack: Stack, service: Service) -> process.Process:
    """Start one service and record it."""
    return process.spawn(
        service.name,
        service.command,
        env=stack.wiring.service(service.name),
        log=stack.layout.logs / f"{service.name}.log",
        run=stack.layout.run,
        cwd=stack.layout.repository,
    )


def _wait_healthy(stack: Stack, wanted: list[Service], say: Say) -> None:
    deadline = time.monotonic() + stack.settings.start_timeout
    while waiting := [service.name for service in wanted if not _healthy(stack, service)]:
        say("waiting for " + ", ".join(waiting))
        died = [name for name in waiting if name not in process.running(stack.layout.run)]
        if died:
            log = stack.layout.logs / f"{died[0]}.log"
            raise StackError(
                "service_ended", f"{died[0]} ended right after its start: {last_line(log)} (see {log})."
            )
        if time.monotonic() > deadline:
            sentence = f"Not healthy after {stack.settings.start_timeout:.0f} s: {', '.join(waiting)}."
            raise StackError("unhealthy", f"{sentence} See {stack.layout.logs}.")
        time.sleep(0.25)


def _healthy(stack: Stack, service: Service) -> bool:
    if service.name in AIRFLOW:
        part = service.name.removeprefix("airflow-").replace("-", "_")
        parts = health.airflow(stack.wiring.url("airflow"))
        return parts.get({"api_server": "metadatabase"}.get(part, part)) == "healthy"
    if service.port and service.health:
        return health.answers(stack.wiring.url(service.port) + service.health)
    return service.name in process.running(stack.layout.run)


def _open_to_stop() -> Stack:
    """The stack as far as stopping needs it: also when its secrets are gone."""
    where = layout()
    state = read_state(where.home)
    settings = from_env(Settings, os.environ)
    unknown = dict.fromkeys(secrets.MAKERS, "")
    return _assemble(settings, where, state["ports"], unknown, Path(state["folders"]["databases"]))


def down(say: Say) -> list[str]:
    """Stop everything of the stack; returns the names of services that had to be killed."""
    stack = _open_to_stop()
    say("stopping services")
    known = process.recorded(stack.layout.run)
    if known.get(WATCHDOG, process.Process("", 0, 0)).pid == os.getpid():
        del known[WATCHDOG]
    stubborn = process.stop(
        list(known.values()), run=stack.layout.run, timeout=stack.settings.stop_timeout, patience=_PATIENCE
    )
    process.end(process.marked(stack.layout.home))
    say("stopping databases")
    databases.stop(stack.servers)
    return [name for name in stubborn if name not in _PATIENCE]


def reset() -> None:
    """Delete all data, secrets and logs of a stopped stack."""
    where = layout()
    state = read_state(where.home)
    data = Path(state.get("folders", {}).get("databases", where.home / "postgres"))
    for folder in (data, where.home):
        shutil.rmtree(folder, ignore_errors=True)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return "(no log)"
    return lines[-1][:300] if lines else "(empty log)"
