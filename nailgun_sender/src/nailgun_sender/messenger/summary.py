"""How sending goes on this node: for the command line, the page and its JSON API."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ..consent import Receipts
from ..consent.receipts import KIND_OF_LEVEL
from ..store import Store
from .cycle import Cycle
from .description import troubles
from .history import History
from .settings import MessengerSettings


def summary(store: Store, cycle: Cycle, settings: MessengerSettings) -> dict[str, Any]:
    """Consent, queue, last requests, last error, parked records, and what the recorder lost; JSON-ready."""
    decision = Receipts(store).current()
    granted = cycle.permission()
    latest = History(store).latest(1)
    outbox = cycle.outbox()
    return {
        "consent": decision.state,
        "levels": list(decision.levels),
        "must_ask_again": decision.must_ask_again,
        "sending": granted.allowed,
        "reason": granted.reason,
        "sentence": granted.sentence,
        "collector": settings.collector_url,
        "uid": cycle.uid(),
        "enrolled": store.fact("enrolled") is not None,
        "waiting": {kind: outbox.waiting(kind) for kind in KIND_OF_LEVEL.values()},
        "parked": _parked(store),
        "counters": _counters(store),
        "last_request": _shown(latest[0]) if latest else None,
        "last_error": _last_error(store),
        "host_troubles": troubles(store),
    }


def _parked(store: Store) -> dict[str, int]:
    parked = store.tables.parked
    query = sa.select(parked.c.kind, sa.func.count()).group_by(parked.c.kind)
    with store.read() as connection:
        return {str(row[0]): int(row[1]) for row in connection.execute(query).all()}


def _counters(store: Store) -> dict[str, int]:
    counters = store.tables.counters
    with store.read() as connection:
        return {row.name: int(row.value) for row in connection.execute(sa.select(counters))}


def _last_error(store: Store) -> str | None:
    parcels = store.tables.parcels
    query = (
        sa.select(parcels.c.detail, parcels.c.started_at)
        .where(parcels.c.outcome.not_in(["delivered", "unknown"]))
        .order_by(parcels.c.id.desc())
        .limit(1)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else f"{row.started_at:%Y-%m-%d %H:%M:%S} UTC: {row.detail}"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
