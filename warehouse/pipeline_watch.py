"""When an extraction is worth starting: asked once a second, so the question is two index look-ups and no process.

Something is worth extracting when a row has landed at or above the watermark in a transaction that has ended (below the
snapshot's xmin: exactly what a run would take). While a publication is built and audited, nothing is gained by
extracting: what is loaded then waits for the next build anyway, and on a small machine the two slow each other down. So
the next extraction is held until the audits have passed; it runs beside the switch, and the next build begins with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg

from fuel_stat import log

logger = log.get(__name__)
Connection = psycopg.AsyncConnection[Any]

_WATERMARK = """
select
    coalesce((
        select l.to_xid::text from ops.load as l
        where l.state = 'loaded' and l.mode in ('window', 'resync') and l.superseded_by is null
        order by l.load_id desc limit 1
    ), '0'),
    exists (select from ops.publication as p where p.state = 'building')
"""

_LANDED = """
select exists (
    select from collector.{table} where xid >= %s::xid8 and xid < pg_snapshot_xmin(pg_current_snapshot())
)
"""
_TABLES = ("landing", "contact", "installation_decision")


@dataclass(frozen=True)
class Rhythm:
    """Seconds: between two looks; at least between two runs; how long a run is held for a build; and after how long one
    that was asked for is asked for again although nothing moved (it failed, or the databases cannot be asked)."""

    look: float = 1.0
    apart: float = 5.0
    hold: float = 60.0
    again: float = 60.0


@dataclass(frozen=True)
class Look:
    """What was seen: the watermark (None: a database could not be asked), rows above it, a build under way."""

    watermark: int | None
    landed: bool = False
    building: bool = False


class Decider:
    """Decides from each look whether to ask for an extraction. ``now`` is a clock in seconds."""

    def __init__(self, rhythm: Rhythm, now: float) -> None:
        self._rhythm = rhythm
        self._asked_at = now - rhythm.again
        self._asked_for: int | None = None

    def decide(self, look: Look, now: float) -> str | None:
        """Why an extraction should start now; None when it should not."""
        since = now - self._asked_at
        if look.watermark is None:
            # The run will fail and say so where people look: better than a silent watch.
            reason = "a database cannot be asked" if since >= self._rhythm.again else None
        elif not look.landed:
            reason = None
        elif look.watermark == self._asked_for:
            reason = "asked again: the watermark has not moved" if since >= self._rhythm.again else None
        elif since < (self._rhythm.hold if look.building else self._rhythm.apart):
            reason = None
        else:
            reason = "rows have landed"
        if reason is not None:
            self._asked_at, self._asked_for = now, look.watermark
        return reason


class Watch:
    """Looks at both databases over two connections that are kept; see :func:`Watch.reasons`."""

    def __init__(self, standby_dsn: str, warehouse_dsn: str, rhythm: Rhythm | None = None) -> None:
        self._dsns = (standby_dsn, warehouse_dsn)
        self._rhythm = rhythm or Rhythm()
        self._connections: list[Connection] = []

    async def reasons(self) -> AsyncIterator[str]:
        """A sentence each time that an extraction should start; ends only by being closed."""
        decider = Decider(self._rhythm, time.monotonic())
        try:
            while True:
                reason = decider.decide(await self.look(), time.monotonic())
                if reason is not None:
                    yield reason
                await asyncio.sleep(self._rhythm.look)
        finally:
            await self.close()

    async def look(self) -> Look:
        """One look at both databases; a connection that was lost is made anew by the next."""
        try:
            standby, warehouse = await self._connected()
            watermark, building = await _row(warehouse, _WATERMARK)
            for table in _TABLES:
                (landed,) = await _row(standby, _LANDED.format(table=table), watermark)
                if landed:
                    break
        except psycopg.Error as error:
            logger.warning("watch_cannot_ask", error=" ".join(str(error).split())[:300])
            await self.close()
            return Look(None)
        return Look(int(watermark), landed, building)

    async def _connected(self) -> list[Connection]:
        while len(self._connections) < len(self._dsns):
            self._connections.append(
                await psycopg.AsyncConnection.connect(
                    self._dsns[len(self._connections)],
                    autocommit=True,
                    connect_timeout=5,
                    application_name="fuel-stat watch",
                )
            )
        return self._connections

    async def close(self) -> None:
        """Close what is open."""
        while self._connections:
            await self._connections.pop().close()


async def _row(connection: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode(), parameters)).fetchone()
    assert row is not None  # noqa: S101 - these queries answer with one row
    return tuple(row)
