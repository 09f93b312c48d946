"""What ``up`` prints at its end: the first numbers, and where everything is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from fuel_stat.stack import airflow_setup, status
from fuel_stat.stack.stack import Stack


def text(stack: Stack, done: Sequence[str]) -> str:
    """The closing words of ``up``."""
    parts = ["\n".join(done)] if done else []
    parts += [part for part in (_numbers(stack), _surfaces(stack)) if part]
    return "\n" + "\n\n".join(parts)


def _numbers(stack: Stack) -> str:
    """Installations, environments, actions, freshness: as the analytics API publishes them."""
    summary = _get(stack, "/api/v1/json/summary")
    if not summary:
        return ""
    lines = [
        f"  {name.replace('_', ' '):<28}{value:>14,}" for name, value in summary.items() if _is_count(value)
    ]
    pipeline = status.collect(stack)["pipeline"]
    fresh = pipeline["freshness_seconds"]
    shown = "nothing is published yet" if fresh is None else f"newest record {fresh:.0f} s old"
    return "\n".join(["First numbers", *lines, f"  {'freshness':<28}{shown}"])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _get(stack: Stack, path: str) -> dict[str, Any]:
    try:
        answer = httpx.get(stack.wiring.url("analytics") + path, timeout=10.0, trust_env=False)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found


def _surfaces(stack: Stack) -> str:
    """Address, user and password of each door."""
    wiring, secrets = stack.wiring, stack.wiring.secrets
    rows = [
        ("Collector", wiring.url("ingest") + "/api/v1/", "", ""),
        ("Analytics API and page", wiring.url("analytics") + "/", "", ""),
        ("Airflow", wiring.url("airflow") + "/", airflow_setup.USER, secrets["AIRFLOW_ADMIN_PASSWORD"]),
    ]
    for name in ("collector_primary", "collector_standby", "analytic"):
        shown = name.replace("_", " ").capitalize()
        user, password = _login(wiring.dsn(name))
        rows.append((shown, wiring.dsn(name, password=False), user, password))
    lines = []
    for name, address, user, password in rows:
        login = f"  user {user}, password {password}" if user else ""
        lines.append(f"  {name:<24}{address}{login}")
    kept = f"Data: {wiring.data}. Secrets: {stack.layout.home / 'secrets.env'} (keep a copy)."
    return "\n".join(["Running", *lines, "", f"{kept} Next: `fuel-stat status`."])


def _login(dsn: str) -> tuple[str, str]:
    user, _, password = dsn.removeprefix("postgresql://").partition("@")[0].partition(":")
    return user, password
