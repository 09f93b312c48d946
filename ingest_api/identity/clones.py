"""Signs that one uid is used by two machines: a cloned disk, or somebody else.

Looked for by a pass over the landings of the last days, not on the request path.

* ``alternating_structures``: a node's structure goes back to an earlier one again and again (A, B, A, B …). Once or
  twice is an operator trying something.
* ``ids_go_back``: new action log ids far below what the node had reached a day before. A node counts upwards; the few
  that come late are tasks that ended late.
* ``two_keys`` is raised by enrolment itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import zstandard

from fuel_stat.identity import node_id

MIN_RETURNS = 3
MIN_IDS_BACK = 20
SETTLED = timedelta(days=1)
MAX_PAYLOAD_BYTES = 256 * 2**20

_STRUCTURES = (
    "select uid, md5(payload) from collector.landing where kind = 'installation_structure'"
    " and received_at >= %s order by uid, received_at"
)
_ACTION_LOGS = (
    "select uid, received_at, taken, payload from collector.landing where kind = 'action_logs'"
    " and received_at >= %s order by uid, received_at"
)
_FLAG = (
    "insert into collector.node_flag (node, uid, flag, detail) values (%s, %s, %s, %s)"
    " on conflict (node, flag) do update set seen_count = node_flag.seen_count + 1,"
    " last_seen = clock_timestamp(), detail = excluded.detail"
)


@dataclass(frozen=True)
class Flag:
    """A finding about one uid, with a sentence for the operator."""

    uid: str
    flag: str
    detail: str

    @property
    def node(self) -> UUID:
        return node_id(self.uid)


def count_returns(digests: Sequence[str]) -> int:
    """How often a sequence of versions goes back to one it had left: A B A B has two returns."""
    seen: set[str] = set()
    returns = 0
    for digest in digests:
        returns += digest in seen
        seen.add(digest)
    return returns


def count_ids_back(batches: Iterable[tuple[datetime, Sequence[int]]]) -> int:
    """How many new ids lie below the highest id of more than a day before, in order of receipt."""
    history: list[tuple[datetime, int]] = []
    back = 0
    for received_at, ids in batches:
        settled = max((high for at, high in history if at <= received_at - SETTLED), default=None)
        if settled is not None:
            back += sum(external_id < settled for external_id in ids)
        if ids:
            history.append((received_at, max(ids)))
    return back


def find_flags(connection: psycopg.Connection[Any], since: datetime) -> Iterator[Flag]:
    """The findings over all landings since then."""
    for uid, digests in _grouped(connection.execute(_STRUCTURES, (since,))):
        returns = count_returns([digest for (digest,) in digests])
        if returns >= MIN_RETURNS:
            detail = f"the structure went back to an earlier one {returns} times"
            yield Flag(uid, "alternating_structures", detail)
    with connection.cursor(name="clones") as cursor:
        cursor.itersize = 200
        cursor.execute(_ACTION_LOGS, (since,))
        for uid, rows in _grouped(cursor):
            back = count_ids_back((at, _ids(taken, payload)) for at, taken, payload in rows)
            if back >= MIN_IDS_BACK:
                yield Flag(uid, "ids_go_back", f"{back} new ids lie below what was reached a day before")


def record_flags(connection: psycopg.Connection[Any], flags: Iterable[Flag]) -> int:
    """Keep the findings, once a node and flag with a counter; says how many there were."""
    count = 0
    for flag in flags:
        connection.execute(_FLAG, (flag.node, flag.uid, flag.flag, flag.detail))
        count += 1
    return count


def _grouped(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    current: str | None = None
    group: list[tuple[Any, ...]] = []
    for uid, *rest in rows:
        if uid != current and current is not None:
            yield current, group
            group = []
        current = uid
        group.append(tuple(rest))
    if current is not None:
        yield current, group


def _ids(taken: Sequence[int] | None, payload: bytes) -> list[int]:
    raw = zstandard.ZstdDecompressor().decompress(bytes(payload), max_output_size=MAX_PAYLOAD_BYTES)
    document = orjson.loads(raw)
    records = document["action_logs"] if isinstance(document, dict) else document
    positions = range(len(records)) if taken is None else taken
    return [records[position]["external_id"] for position in positions]
