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


#: What is shown first: its words, the page of the API, and the way to the number in its answer.
_FIRST = (
    ("installations", "/api/v1/json/report/installations", ("installations", "count")),
    ("environments", "/api/v1/json/report/installations", ("environments", "count")),
    ("actions", "/api/v1/json/summary", ("action_logs", "total")),
    ("workload records", "/api/v1/json/summary", ("oswl_stats", "total")),
)


def _numbers(stack: Stack) -> str:
    """Installations, environments, actions, freshness: as the analytics API publishes them."""
    answers = {page: _get(stack, page) for _, page, _ in _FIRST}
    if not any(answers.values()):
        return ""
    fresh = status.collect(stack)["pipeline"]["freshness_seconds"]
    shown = "nothing is published yet" if fresh is None else f"newest record {fresh:.0f} s old"
    lines = [f"  {words:<24}{_at(answers[page], way)}" for words, page, way in _FIRST]
    return "\n".join(["First numbers", *lines, f"  {'freshness':<24}{shown}"])


def _at(answer: dict[str, Any], way: tuple[str, ...]) -> str:
    found: Any = answer
    for name in way:
        found = found.get(name) if isinstance(found, dict) else None
    return f"{found:,}" if isinstance(found, int) else "unknown"


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
        ("Data docs (audits)", wiring.url("analytics") + "/data-docs/", "", ""),
        ("Model docs (dbt)", wiring.url("analytics") + "/dbt-docs/", "", ""),
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
