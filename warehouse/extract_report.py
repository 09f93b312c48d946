"""What a run of the extraction did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from warehouse.extract_alarms import Alarm
from warehouse.extract_chunk import ChunkResult
from warehouse.reload_resync import Resync


@dataclass(frozen=True)
class LoadReport:
    """What a run did: transactions are 64-bit, times in seconds, ``bytes`` as they were streamed (compressed).

    ``oldest_transaction`` says who holds the window (see :func:`warehouse.extract_alarms.oldest_transaction`).
    """

    load_ids: tuple[int, ...]
    from_xid: int
    to_xid: int
    landings: int = 0
    records: int = 0
    bytes: int = 0
    contacts: int = 0
    unreadable: int = 0
    removed: int = 0
    seconds: float = 0.0
    lag_seconds: float | None = None
    oldest_transaction: dict[str, Any] | None = None
    alarms: tuple[Alarm, ...] = ()
    resync: Resync | None = None
    retries: int = 0
    new_paths: int = 0

    @property
    def load_id(self) -> int | None:
        """The newest load of the run; None when nothing was new."""
        return self.load_ids[-1] if self.load_ids else None

    def with_resync(self, resynced: Resync) -> LoadReport:
        """This, with what a comparison with the source changed."""
        return replace(
            self,
            load_ids=(resynced.load_id,),
            records=resynced.inserted_records,
            landings=resynced.inserted_landings,
            removed=resynced.removed_records,
            resync=resynced,
        )

    def add(self, result: ChunkResult) -> LoadReport:
        """This, with what one more chunk brought."""
        return replace(
            self,
            load_ids=self.load_ids if result.is_empty else (*self.load_ids, result.load_id),
            to_xid=result.to_xid,
            landings=self.landings + result.landings,
            records=self.records + result.records,
            bytes=self.bytes + result.bytes,
            contacts=self.contacts + result.contacts,
            unreadable=self.unreadable + result.unreadable,
            lag_seconds=result.lag_seconds,
            oldest_transaction=result.oldest_transaction,
            # Of each code the latest: an early chunk's alarm must not be hidden by a later chunk without one.
            alarms=tuple({alarm.code: alarm for alarm in (*self.alarms, *result.alarms)}.values()),
        )
