"""Whether what runs is well, seen from outside: over HTTP and over SQL."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from fuel_stat.postgres import Cluster

_TIMEOUT = 5.0


def answers(url: str) -> bool:
    """Whether an HTTP service answers that page with 200."""
    try:
        return httpx.get(url, timeout=_TIMEOUT, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def exposed(url: str) -> list[str]:
    """Addresses at which a service says that it speaks plain HTTP beyond loopback; empty when it does not answer."""
    try:
        answer = httpx.get(f"{url}/version", timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        listeners: list[dict[str, Any]] = answer.json().get("listeners", [])
    except (httpx.HTTPError, ValueError):
        return []
    return [str(one["address"]) for one in listeners if one.get("exposed")]


def airflow(url: str) -> dict[str, str]:
    """Airflow's own view of its parts: name to ``healthy`` or what is wrong; empty when it does not answer."""
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        body: dict[str, dict[str, Any]] = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return {part: str(view.get("status")) for part, view in body.items()}


def airflow_healthy(url: str) -> bool:
    """Whether all of Airflow's parts are healthy."""
    parts = airflow(url)
    return bool(parts) and all(status == "healthy" for status in parts.values())


def accepts(cluster: Cluster) -> bool:
    """Whether a server takes a connection and answers a query."""
    try:
        with psycopg.connect(cluster.dsn("postgres"), connect_timeout=3) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True
