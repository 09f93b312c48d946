"""What holds an extraction back, and when to say so aloud.

One open write transaction in any database of the collector's cluster holds the window. The standby only knows its
number; the primary knows database, process and application.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from warehouse.extract_source import Snapshot

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


def oldest_transaction(snapshot: Snapshot, primary_dsn: str | None) -> dict[str, Any] | None:
    """Who holds the window; None when nobody does.

    Keys: ``xid``, ``transactions_behind``, ``seen_at``, and from the primary, where it can be asked: ``database``,
    ``pid``, ``application``, ``role``, ``state``, ``seconds``, ``prepared``. ``unknown`` says why they are missing.
    """
    # The standby's xmax follows what has ended: a transaction that nothing overtook yet is not below it.
    overtaken = snapshot.xmin < snapshot.xmax
    if primary_dsn is None and not overtaken:
        return None
    holder: dict[str, Any] = {
        "xid": snapshot.xmin,
        "transactions_behind": snapshot.xmax - snapshot.xmin,
        "seen_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if primary_dsn is None:
        return {**holder, "unknown": "the primary's address was not given"}
    try:
        with psycopg.connect(primary_dsn, connect_timeout=3, autocommit=True) as connection:
            cursor = connection.execute(_HOLDER, {"xid": snapshot.xmin % 2**32})
            row = cursor.fetchone()
            names = [column.name for column in cursor.description or ()]
    except psycopg.Error as error:
        reason = f"the primary could not be asked: {' '.join(str(error).split())}"
        return {**holder, "unknown": reason} if overtaken else None
    if row is None:
        return {**holder, "unknown": "it has ended on the primary since"} if overtaken else None
    return {**holder, **dict(zip(names, row, strict=True))}


def alarms_of(
    connection: psycopg.Connection[Any],
    snapshot: Snapshot,
    holder: dict[str, Any] | None,
    thresholds: Thresholds,
) -> tuple[Alarm, ...]:
    """The alarms of a run. Where the primary could not be asked, earlier loads tell since when a transaction holds."""
    alarms = []
    if (snapshot.lag_seconds or 0.0) > thresholds.lag_seconds:
        alarms.append(Alarm("standby_lags", f"The standby's replay is {snapshot.lag_seconds:.0f} s behind."))
    if holder is not None:
        seconds = holder.get("seconds")
        if seconds is None:
            seconds = holder["seconds"] = _held_since(connection, holder["xid"])
        if seconds > thresholds.transaction_seconds:
            alarms.append(
                Alarm(
                    "window_held",
                    f"Transaction {holder['xid']} {_who(holder)} has been open for {seconds:.0f} s;"
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


def _held_since(connection: psycopg.Connection[Any], xid: int) -> float:
    row = connection.execute(
        "select coalesce(extract(epoch from clock_timestamp() - min(started_at)), 0)::double precision"
        " from ops.load where (oldest_transaction ->> 'xid')::bigint = %s"
        " and started_at > now() - interval '7 days'",
        (xid,),
    ).fetchone()
    return float(row[0]) if row else 0.0
