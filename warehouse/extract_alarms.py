"""What holds an extraction back, and when to say so aloud.

One open write transaction in any database of the collector's cluster holds the window. The standby only knows its
number; the primary knows database, process and application.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from warehouse.extract_source import Snapshot

ASK_AGAIN = timedelta(seconds=10)

_HOLDER = """
select datname as database, pid, application_name as application, usename as role, state,
    extract(epoch from clock_timestamp() - xact_start)::double precision as seconds, false as prepared
from pg_stat_activity
where backend_xid is not null and backend_xid::text::bigint = %(xid)s
union all
select database, null, gid, owner, 'prepared',
    extract(epoch from clock_timestamp() - prepared)::double precision, true
from pg_prepared_xacts
where transaction::text::bigint = %(xid)s
limit 1
"""


@dataclass(frozen=True)
class Thresholds:
    """Beyond these an alarm is raised: replay lag, and age of the transaction that holds the window, in seconds."""

    lag_seconds: float = 300.0
    transaction_seconds: float = 900.0


@dataclass(frozen=True)
class Alarm:
    """Something an operator should look at."""

    code: str
    sentence: str

    def as_json(self) -> dict[str, str]:
        """For ``ops.load.alarms``."""
        return asdict(self)


def oldest_transaction(
    snapshot: Snapshot, primary_dsn: str | None, before: dict[str, Any] | None, *, moves: bool
) -> dict[str, Any] | None:
    """Who holds the window; None when nobody does, that is when nothing that is committed has to wait.

    The primary is asked only when a window stands still, and about one transaction every ten seconds at most: a
    connection costs it more than landing a request does.

    Args:
        before: what the load before said (see :func:`holder_before`).
        moves: whether the window brings anything. While it does, whoever is in flight is mostly gone by the next one.

    Keys: ``xid``, ``transactions_behind``, ``first_seen_at``, ``seen_at``, ``seconds`` (open since), and from the
    primary, where it was asked: ``database``, ``pid``, ``application``, ``role``, ``state``, ``prepared``.
    ``unknown`` says why they are missing.
    """
    # The standby's xmax follows what has ended: a transaction that nothing overtook holds nothing back.
    if snapshot.xmin >= snapshot.xmax:
        return None
    now = datetime.now(UTC)
    same = before if before is not None and before["xid"] == snapshot.xmin else {}
    first = same.get("first_seen_at") or now.isoformat()
    holder: dict[str, Any] = {
        "xid": snapshot.xmin,
        "transactions_behind": snapshot.xmax - snapshot.xmin,
        "first_seen_at": first,
        "seen_at": now.isoformat(),
        "seconds": (now - datetime.fromisoformat(first)).total_seconds(),
    }
    if moves:
        return {**holder, "unknown": "the window moved: the primary was not asked"}
    if primary_dsn is None:
        return {**holder, "unknown": "the primary's address was not given"}
    if "database" in same and now - datetime.fromisoformat(same["seen_at"]) < ASK_AGAIN:
        return {**same, "transactions_behind": holder["transactions_behind"]}
    return {**holder, **_asked(primary_dsn, snapshot.xmin)}


def _asked(primary_dsn: str, xid: int) -> dict[str, Any]:
    try:
        with psycopg.connect(primary_dsn, connect_timeout=3, autocommit=True) as connection:
            cursor = connection.execute(_HOLDER, {"xid": xid % 2**32})
            row = cursor.fetchone()
            names = [column.name for column in cursor.description or ()]
    except psycopg.Error as error:
        return {"unknown": f"the primary could not be asked: {' '.join(str(error).split())}"}
    if row is None:
        return {"unknown": "it has ended on the primary since"}
    return dict(zip(names, row, strict=True))


def holder_before(connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
    """Who held the window at the latest load."""
    row = connection.execute(
        "select oldest_transaction from ops.load where state = 'loaded' and mode = 'window'"
        " order by load_id desc limit 1"
    ).fetchone()
    return row[0] if row else None


def alarms_of(snapshot: Snapshot, holder: dict[str, Any] | None, thresholds: Thresholds) -> tuple[Alarm, ...]:
    """The alarms of a run. Where the primary could not be asked, a transaction counts from when it was first seen."""
    alarms = []
    if (snapshot.lag_seconds or 0.0) > thresholds.lag_seconds:
        alarms.append(Alarm("standby_lags", f"The standby's replay is {snapshot.lag_seconds:.0f} s behind."))
    if holder is not None and holder["seconds"] > thresholds.transaction_seconds:
        alarms.append(
            Alarm(
                "window_held",
                f"Transaction {holder['xid']} {_who(holder)} has been open for {holder['seconds']:.0f} s;"
                " nothing committed after it started can be extracted until it ends.",
            )
        )
    return tuple(alarms)


def _who(holder: dict[str, Any]) -> str:
    if "database" not in holder:
        return f"({holder['unknown']})"
    place = f"in database {holder['database']}, role {holder['role']}"
    if holder["prepared"]:
        return f"{place}, prepared as {holder['application']!r}"
    return f"{place}, process {holder['pid']}, application {holder['application']!r}"
