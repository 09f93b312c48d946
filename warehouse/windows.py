"""Do the windows that were loaded still agree with the source?

A promotion or a restore may leave the source with less, or other, history than the one that was loaded. System
identifier and timeline do not tell (a booted base backup keeps both and reuses transactions), so count and hash of the
loaded windows are compared with the source, newest first, until one that agrees also proves all older ones.

The proof: a server's history is a prefix of what was written, up to some point. A window that agrees and has a row
of transaction x shows that the source's history reaches x's commit. If x had not ended when an older window was read
(``source_xmax`` of that load <= x), then all rows of the older one were committed before x, and are there too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from warehouse.extract_source import Coverage, Source, within

_LOADS = """
select load_id, from_xid::text, to_xid::text, source_xmax::text, max_row_xid::text
from ops.load
where state = 'loaded' and mode in ('window', 'resync') and superseded_by is null
and (%(below)s::bigint is null or load_id < %(below)s)
order by load_id desc
limit %(limit)s
"""
PAGE_WINDOWS = 50
Place = tuple[str, date, int]


@dataclass(frozen=True)
class Window:
    """A loaded window ``[from_xid, to_xid)``; ``max_row_xid`` is None when nothing had landed in it."""

    load_id: int
    from_xid: int
    to_xid: int
    source_xmax: int
    max_row_xid: int | None


@dataclass(frozen=True)
class Agreement:
    """How far source and warehouse agree.

    ``boundary``: transactions below it need no look; None when all windows agree.
    ``common``: whether any window with rows agreed (or there was none).
    """

    watermark: int
    boundary: int | None
    common: bool
    checked: int


def loaded_windows(connection: psycopg.Connection[Any], limit: int, below: int | None = None) -> list[Window]:
    """The newest windows in force, newest first; ``below``: of loads before this one."""
    rows = connection.execute(_LOADS, {"limit": limit, "below": below})
    return [
        Window(load_id, int(lower), int(upper), int(xmax or upper), None if top is None else int(top))
        for load_id, lower, upper, xmax, top in rows
    ]


def _newest_first(connection: psycopg.Connection[Any]) -> Iterator[Window]:
    """All windows in force, read page by page: a run mostly needs the newest few of very many."""
    below: int | None = None
    while page := loaded_windows(connection, PAGE_WINDOWS, below):
        yield from page
        below = page[-1].load_id


def compare_windows(connection: psycopg.Connection[Any], source: Source) -> Agreement:
    """Compare the loaded windows with the source, newest first, until the older ones are proven."""
    coverage = source.coverage()
    watermark = upper = boundary = None
    proof, checked, common, brought_rows = -1, 0, False, False
    for window in _newest_first(connection):
        if upper is None:
            watermark = upper = window.to_xid
        brought_rows = brought_rows or window.max_row_xid is not None
        if window.to_xid > source.snapshot.xmin:
            # Beyond what the source has reached: it cannot agree.
            boundary = upper = window.from_xid
            continue
        if window.max_row_xid is None:
            continue
        if window.source_xmax <= proof:
            break
        checked += 1
        # Up to the next window with rows: the empty ones between must still be empty.
        if _agrees(connection, source, coverage, window, upper):
            proof, common = max(proof, window.max_row_xid), True
        else:
            boundary = window.from_xid
        upper = window.from_xid
    return Agreement(watermark or 0, boundary, common or not brought_rows, checked)


def _agrees(
    connection: psycopg.Connection[Any], source: Source, coverage: Coverage, window: Window, upper: int
) -> bool:
    recorded: dict[Place, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    rows = connection.execute(
        "select kind, received_day, tier, landings, records, landing_hash from ops.load_window"
        " where load_id = %s",
        (window.load_id,),
    )
    for kind, day, tier, landings, records, total in rows:
        if kind == "contact" or day in coverage:
            recorded[kind, day, tier] = (landings, records, int(total))
    found = {
        (s.kind, s.day, s.tier): (s.landings, s.records, s.hash)
        for s in source.summary(within(window.from_xid, upper))
    }
    return found == dict(recorded)
