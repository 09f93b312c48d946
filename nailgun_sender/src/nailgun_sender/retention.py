"""What was sent expires; what was not is kept up to a hard cap. Both are counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import clock
from .settings import Settings
from .store import Store
from .store.upsert import count


def apply(store: Store, settings: Settings) -> dict[str, int]:
    """Remove sent records past their days, and the oldest beyond the cap; returns what went.

    Beyond the cap sent records go first, then finished ones, then open tasks, the oldest first in
    each. Counters: ``expired_*`` (had been sent), ``capped_*``, of which ``capped_unsent_*``.
    """
    actions, workloads = store.tables.actions, store.tables.workloads
    before = clock.now() - timedelta(days=settings.keep_sent_days)
    with store.write() as connection:
        gone = {
            "expired_actions": _expire(connection, actions, before, sa.true()),
            "expired_workloads": _expire(connection, workloads, before, _is_superseded(workloads)),
            **_cap(connection, actions, settings.most_actions, "actions", [_still_open(actions)]),
            **_cap(connection, workloads, settings.most_workloads, "workloads", []),
        }
        count(connection, store.tables.counters, gone)
        sessions = store.tables.sessions
        connection.execute(sessions.delete().where(sessions.c.closed_at < before))
    return {name: value for name, value in gone.items() if value}


def _expire(connection: Connection, table: sa.Table, before: Any, also: Any) -> int:
    condition = sa.and_(table.c.is_sent.is_(sa.true()), table.c.sent_at < before, also)
    return connection.execute(table.delete().where(condition)).rowcount


def _is_superseded(workloads: sa.Table) -> Any:
    # the latest record of a cluster and type is what the next day's is compared with
    later = workloads.alias()
    return sa.exists().where(
        later.c.cluster_id == workloads.c.cluster_id,
        later.c.resource_type == workloads.c.resource_type,
        later.c.created_date > workloads.c.created_date,
    )


def _still_open(actions: sa.Table) -> Any:
    return sa.case((actions.c.end_timestamp.is_(None), 1), else_=0)


def _cap(
    connection: Connection,
    table: sa.Table,
    most: int,
    name: str,
    last: Sequence[Any],
) -> dict[str, int]:
    # the span of ids bounds the count from above and costs two index look-ups
    lowest: Any
    highest: Any
    lowest, highest = connection.execute(sa.select(sa.func.min(table.c.id), sa.func.max(table.c.id))).one()
    if lowest is None or int(highest) - int(lowest) < most:
        return {}
    total: int = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    if total <= most:
        return {}
    unsent_before = _unsent(connection, table)
    order = sa.case((table.c.is_sent.is_(sa.true()), 0), else_=1)
    oldest = sa.select(table.c.id).order_by(order, *last, table.c.id).limit(total - most)
    connection.execute(table.delete().where(table.c.id.in_(oldest.scalar_subquery())))
    unsent = unsent_before - _unsent(connection, table)
    return {f"capped_{name}": total - most, f"capped_unsent_{name}": unsent}


def _unsent(connection: Connection, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.is_sent.is_(sa.false()))
    return int(connection.execute(query).scalar_one())
