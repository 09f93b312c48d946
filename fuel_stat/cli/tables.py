"""Status for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

_STYLES = {"healthy": "green", "not healthy": "red", "not running": "red", "plain HTTP": "bold red"}


def status_table(answer: dict[str, Any]) -> None:
    """Print the status: a line each with what, its state, where it is."""
    rows = [*_parts(answer), *_data(answer)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    console = Console(highlight=False, soft_wrap=True)
    for what, state, where in rows:
        line = Text(f"{what:<{widths[0]}}  ")
        line.append(f"{state:<{widths[1]}}", _STYLES.get(state, ""))
        console.print(line.append(f"  {where}".rstrip()))


def _parts(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = [
        (name, _state(service["healthy"]), str(service["url"]))
        for name, service in answer["services"].items()
    ]
    for address in answer["services"]["ingest"].get("exposed", ()):
        rows.append(("ingest", "plain HTTP", f"{address} can be read along: see deploy/README.md, TLS"))
    for name, database in answer["databases"].items():
        rows.append((name, _state(database["healthy"]), f"{database['dsn']} {_more(database)}"))
    for name, process in answer["processes"].items():
        if process["pid"] is None:
            rows.append((name, "not running", "start it with `make up`, see `fuel-stat logs`"))
    return rows


def _data(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    pipeline, runway = answer["pipeline"], answer["partitions"]["runway_days"]
    return [
        ("pipeline", str(pipeline["state"]), _ago(pipeline["freshness_seconds"])),
        ("last backup", str(answer["backup"]["last"] or "none yet"), ""),
        ("partitions", "unknown" if runway is None else f"{runway} days ahead", ""),
        ("data", "", answer["folders"]["databases"]),
    ]


def _state(healthy: bool) -> str:
    return "healthy" if healthy else "not healthy"


def _more(database: dict[str, Any]) -> str:
    if "advice" in database:
        return str(database["advice"])
    lag = database.get("replay_lag_seconds")
    return "" if lag is None else f"(replay lag {lag:.1f} s)"


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else f"newest published record: {seconds / 60:.0f} minutes ago"
