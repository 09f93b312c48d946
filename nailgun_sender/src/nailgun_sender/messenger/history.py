"""What was sent when, and what the collector answered: one row a request, kept for the operator."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ..clock import now
from ..store import Store
from .parcel import Parcel

KEEP = 1000


class History:
    """The requests of this node, newest last; the newest thousand are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, parcel: Parcel, url: str) -> int:
        """Note that a parcel is about to be sent; returns its number.

        Committed before the first byte leaves, so that after a crash the page shows what may have left.
        """
        parcels = self._store.tables.parcels
        values = {
            "kind": parcel.kind,
            "started_at": now(),
            "url": url[:500],
            "digest": parcel.digest,
            "body_bytes": len(parcel.body),
            "wire_bytes": len(parcel.wire),
            "records": len(parcel.items),
            "outcome": "unknown",
        }
        with self._store.write() as connection:
            result = connection.execute(parcels.insert().values(**values))
            made = result.inserted_primary_key
            assert made is not None
            number = int(made[0])
            connection.execute(parcels.delete().where(parcels.c.id <= number - KEEP))
        return number

    def end(self, number: int, outcome: str, detail: str, status: int | None) -> None:
        """Note what came of it."""
        parcels = self._store.tables.parcels
        with self._store.write() as connection:
            connection.execute(
                parcels.update()
                .where(parcels.c.id == number)
                .values(outcome=outcome[:20], detail=detail[:500], http_status=status, ended_at=now())
            )

    def latest(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest requests, newest first."""
        parcels = self._store.tables.parcels
        query = sa.select(parcels).order_by(parcels.c.id.desc()).limit(limit)
        with self._store.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
