"""Erasing what was recorded: here at once; at the collector by its operator, who needs the node's uid."""

from __future__ import annotations

import sqlalchemy as sa

from ..store import Store

FACTS_OF_SENDING = ("structure_sent", "structure_sent_at")


def erase(store: Store) -> dict[str, int]:
    """Delete all recorded actions and workloads, what was parked and the list of requests; returns the counts.

    Consent receipts stay: they say why there is nothing. Open tasks stay too, or their end would be an orphan.
    """
    tables = store.tables
    erased = {}
    with store.write() as connection:
        finished = tables.actions.c.end_timestamp.is_not(None)
        erased["action_logs"] = connection.execute(tables.actions.delete().where(finished)).rowcount
        erased["oswl_stats"] = connection.execute(tables.workloads.delete()).rowcount
        erased["requests"] = connection.execute(tables.parcels.delete()).rowcount
        connection.execute(tables.parked.delete())
        connection.execute(tables.facts.delete().where(tables.facts.c.name.in_(FACTS_OF_SENDING)))
    return erased


def was_anything_sent(store: Store) -> bool:
    """Whether the collector may hold something of this node."""
    parcels = store.tables.parcels
    with store.read() as connection:
        return bool(connection.execute(sa.select(sa.func.count()).select_from(parcels)).scalar_one())
