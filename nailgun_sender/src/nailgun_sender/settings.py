"""Settings of the sender on one node; each has a default that works, and a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, TypeVar

from .errors import SettingsError

T = TypeVar("T")

PREFIX = "FUEL_STAT_SENDER_"


def _switch(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
            text.strip().lower()
        ]
    except KeyError:
        raise ValueError("expected true or false") from None


def _setting(default: Any, doc: str, parse: Callable[[str], Any] = str) -> Any:
    return field(default=default, metadata={"doc": doc, "parse": parse})


@dataclass(frozen=True)
class Settings:
    """What an operator may set, by argument or by ``FUEL_STAT_SENDER_<NAME>`` in the environment.

    Durations are seconds, sizes are rows unless the name says bytes.
    """

    database_url: str = _setting(
        "sqlite:////var/lib/fuel-stat/sender.sqlite",
        "SQLAlchemy URL of the node's database. A file of its own by default, so that a slow commit"
        " of ours can never hold a lock of the host's.",
    )
    table_prefix: str = _setting(
        "", "Put before the names of our tables, for a database that has an action_logs already."
    )
    queue_size: int = _setting(
        1000, "Records that may wait in memory, per host process; more are dropped, counted.", int
    )
    batch_size: int = _setting(100, "Records written in one transaction at most.", int)
    linger: float = _setting(
        0.25, "Seconds the writer waits after a record so that several share a commit.", float
    )
    breath: float = _setting(
        0.0005,
        "Seconds the writer sleeps between records, so that host threads get the interpreter;"
        " not slept while the queue is more than half full.",
        float,
    )
    retry_least: float = _setting(0.5, "First wait after a failed write.", float)
    retry_most: float = _setting(30.0, "Longest wait between failed writes.", float)
    flush_timeout: float = _setting(2.0, "Seconds a stopping host waits for the queue to be written.", float)
    tally_folder: str = _setting(
        "/dev/shm" if Path("/dev/shm").is_dir() else "",
        "Folder in memory for the count of what is queued, which survives a kill of the process;"
        " empty: no such count, and a kill is reported as 'at most the queue'.",
    )
    record_unmapped: bool = _setting(
        True, "Record modifying requests that the URL map does not know, as 'other'.", _switch
    )
    error_bytes: int = _setting(2048, "Of a failed answer's body, kept to explain it.", int)
    keep_sent_days: int = _setting(30, "Days a sent record stays before it expires.", int)
    most_actions: int = _setting(
        1_000_000, "Hard cap of action_logs rows; the oldest are dropped and counted.", int
    )
    most_workloads: int = _setting(
        100_000, "Hard cap of workload rows; the oldest are dropped and counted.", int
    )
    upkeep_every: float = _setting(
        600.0, "Seconds between expiry, cap and orphan checks by the writer.", float
    )
    heartbeat_every: float = _setting(
        15.0, "Seconds between the writer's signs of life in the sessions table.", float
    )

    def __post_init__(self) -> None:
        for name in ("queue_size", "batch_size", "most_actions", "most_workloads"):
            if getattr(self, name) < 1:
                raise SettingsError("bad_setting", f"{name} must be at least 1.")
        if not all(c.isalnum() or c == "_" for c in self.table_prefix):
            raise SettingsError("bad_setting", "table_prefix may hold letters, digits and underscores only.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ``FUEL_STAT_SENDER_*``; raises SettingsError naming the variable that is wrong."""
        return read(cls, os.environ if environ is None else environ)


def read(cls: type[T], environ: Mapping[str, str]) -> T:
    """Fill a settings class from ``FUEL_STAT_SENDER_*``; raises SettingsError naming the variable that is wrong."""
    values: dict[str, Any] = {}
    for each in fields(cls):  # type: ignore[arg-type]
        name = PREFIX + each.name.upper()
        if name in environ:
            values[each.name] = _parse(each, name, environ[name])
    return cls(**values)


def _parse(each: Field[Any], name: str, text: str) -> Any:
    try:
        return each.metadata["parse"](text)
    except ValueError as error:
        raise SettingsError("bad_setting", f"{name} cannot be read: {error}.") from error
