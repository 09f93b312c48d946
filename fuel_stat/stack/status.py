"""What runs, and how far the data has come: the answer of ``fuel-stat status``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg

from fuel_stat.postgres import Cluster, replay_lag_seconds
from fuel_stat.stack import databases, health, process
from fuel_stat.stack.services import services
from fuel_stat.stack.stack import Stack

#: The answer's parts that SQL gives: name to (database, query for one value).
_QUERIES = {
    "last_run": ("analytic", "select max(started_at) from ops.load where state <> 'running'"),
    "published_at": ("analytic", "select published_at from ops.publication_status"),
    "newest": ("analytic", "select newest_received_at from ops.publication_status"),
    "state": ("analytic", "select coalesce(last_state, state)::text from ops.publication_status"),
    "backup": ("analytic", "select max(started_at) from ops.backup where state = 'verified'"),
    "runway": ("collector_primary", "select collector.partition_runway_days()"),
}


def collect(stack: Stack) -> dict[str, Any]:
    """The status as JSON-ready data. The keys are promised to operators' scripts: they stay.

    ``services.{ingest,analytics,airflow}.{url,healthy}`` (the collector's also ``exposed``: addresses where it speaks
    plain HTTP beyond loopback, as the operator has allowed),
    ``databases.{collector_primary,collector_standby,analytic}.{dsn,healthy}`` (the standby also
    ``replay_lag_seconds``), ``pipeline.{last_run,state,freshness_seconds}``, ``backup.last``,
    ``partitions.runway_days``; what cannot be known is null. Times are ISO 8601 in UTC.
    """
    with ThreadPoolExecutor(8) as pool:
        answers = {name: pool.submit(_ask, stack, *query) for name, query in _QUERIES.items()}
        serving = pool.submit(_services, stack)
        storing = pool.submit(_databases, stack)
        known = {name: answer.result() for name, answer in answers.items()}
        return {
            "services": serving.result(),
            "databases": storing.result(),
            "pipeline": _pipeline(known),
            "backup": {"last": _iso(known["backup"])},
            "partitions": {"runway_days": known["runway"]},
            "processes": _processes(stack),
            "folders": {
                "home": str(stack.layout.home),
                "databases": str(stack.servers.primary.data.parent),
                "postgres": str(stack.servers.primary.binaries.folder),
            },
        }


def healthy(status: dict[str, Any]) -> bool:
    """Whether every service and database of that answer is well."""
    parts = [*status["services"].values(), *status["databases"].values()]
    return all(part["healthy"] for part in parts)


def _services(stack: Stack) -> dict[str, dict[str, Any]]:
    url = stack.wiring.url
    return {
        "ingest": {
            "url": url("ingest"),
            "healthy": health.answers(url("ingest") + "/readyz"),
            "exposed": health.exposed(url("ingest")),
        },
        "analytics": {
            "url": url("analytics"),
            "healthy": health.answers(url("analytics") + "/readyz"),
        },
        "airflow": {"url": url("airflow"), "healthy": health.airflow_healthy(url("airflow"))},
    }


def _databases(stack: Stack) -> dict[str, dict[str, Any]]:
    servers, dsn = stack.servers, stack.wiring.dsn
    lag = _or_none(lambda: replay_lag_seconds(servers.standby))
    lost = _or_none(lambda: databases.standby_slot_lost(servers.primary))
    standby: dict[str, Any] = _database(servers.standby, dsn("collector_standby", password=False))
    standby["replay_lag_seconds"] = lag
    streams = _or_none(lambda: databases.standby_streams(servers.standby))
    if lost:
        standby |= {"healthy": False, "advice": "its WAL is gone: run `fuel-stat standby rebuild`"}
    elif standby["healthy"] and not streams and servers.primary.is_running():
        standby |= {
            "healthy": False,
            "advice": "it does not stream: wait, or run `fuel-stat standby rebuild`",
        }
    return {
        "collector_primary": _database(servers.primary, dsn("collector_primary", password=False)),
        "collector_standby": standby,
        "analytic": _database(servers.analytic, dsn("analytic", password=False)),
    }


def _database(cluster: Cluster, dsn: str) -> dict[str, Any]:
    return {"dsn": dsn, "healthy": health.accepts(cluster)}


def _pipeline(known: dict[str, Any]) -> dict[str, Any]:
    newest = known["newest"]
    freshness = (datetime.now(newest.tzinfo) - newest).total_seconds() if newest else None
    return {
        "last_run": _iso(known["published_at"] or known["last_run"]),
        "state": known["state"] or ("loaded" if known["last_run"] else "never run"),
        "freshness_seconds": None if freshness is None else round(freshness, 1),
    }


def _processes(stack: Stack) -> dict[str, dict[str, Any]]:
    running = process.running(stack.layout.run)
    wanted = [service.name for service in services(stack.wiring, frozenset())]
    return {name: {"pid": running[name].pid if name in running else None} for name in wanted}


def _ask(stack: Stack, database: str, query: str) -> Any:
    """One value; None when the server is away or that part of the schema is not there yet."""

    def ask() -> Any:
        with psycopg.connect(stack.wiring.dsn(database), connect_timeout=3) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None

    return _or_none(ask)


def _or_none(ask: Callable[[], Any]) -> Any:
    with contextlib.suppress(psycopg.Error):
        return ask()
    return None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
