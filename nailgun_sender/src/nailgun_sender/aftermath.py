"""What processes that are gone left behind: records lost with their queues, tasks left open."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import clock, tally
from .ledger import ORPHANED
from .settings import Settings
from .store import Store
from .store.upsert import count, insert_or_ignore

log = logging.getLogger("nailgun_sender")

_SILENT = timedelta(days=1)


def settle(store: Store, settings: Settings) -> None:
    """Report what dead processes lost, and close the tasks that died with them.

    A lost count is exact when the dead process's tally is still in memory; after a reboot it is
    "at most what its queue could hold".
    """
    left = {each.session: each for each in tally.left(settings.tally_folder, database(settings))}
    with store.write() as connection:
        _bury_sessions(connection, store, settings, left)
        orphans = _close_orphans(connection, store)
    for each in left.values():
        each.path.unlink(missing_ok=True)
    if orphans:
        log.warning("closed %d tasks whose process is gone, as %s", orphans, ORPHANED)


def database(settings: Settings) -> str:
    """Name the database and prefix that a tally belongs to."""
    return f"{settings.database_url}#{settings.table_prefix}"


def _bury_sessions(
    connection: Connection, store: Store, settings: Settings, left: Mapping[str, tally.LeftTally]
) -> None:
    sessions = store.tables.sessions
    insert_or_ignore(connection, sessions, [_unentered(each, settings) for each in left.values()])
    open_ones = connection.execute(sa.select(sessions).where(sessions.c.closed_at.is_(None)))
    for row in [dict(each) for each in open_ones.mappings().all()]:
        if not _is_dead(row):
            continue
        found = left.get(row["id"])
        most = row["capacity"] + settings.batch_size
        lost = most if found is None else max(0, found.accepted - row["written"])
        buried = connection.execute(
            sessions.update()
            # whoever else is settling at the same moment must not count it again
            .where(sessions.c.id == row["id"], sessions.c.closed_at.is_(None))
            .values(
                closed_at=clock.now(),
                accepted=row["accepted"] if found is None else found.accepted,
                dropped=row["dropped"] if found is None else found.refused,
                lost=lost,
                lost_is_exact=found is not None,
            )
        )
        if not buried.rowcount:
            continue
        name = "lost_at_most" if found is None else "lost"
        dropped = 0 if found is None else found.refused - row["dropped"]
        count(connection, store.tables.counters, {name: lost, "dropped": dropped})
        if lost:
            bound = "at most " if found is None else ""
            log.warning("process %d ended without notice: %s%d records lost", row["pid"], bound, lost)


def _unentered(each: tally.LeftTally, settings: Settings) -> dict[str, Any]:
    # died before it reached the database even once
    return {
        "id": each.session,
        "host": clock.host_name(),
        "boot": clock.boot_id(),
        "pid": each.pid,
        "process_start": each.process_start,
        "capacity": settings.queue_size,
        "tally_path": str(each.path),
        "started_at": clock.now(),
        "seen_at": clock.now(),
    }


def _is_dead(session: Mapping[Any, Any]) -> bool:
    if session["host"] != clock.host_name():
        # another machine or container: only its silence can tell
        return bool(clock.now() - session["seen_at"] > _SILENT)
    if session["boot"] != clock.boot_id():
        return True
    return bool(clock.process_start(session["pid"]) != session["process_start"])


def _close_orphans(connection: Connection, store: Store) -> int:
    actions, sessions = store.tables.actions, store.tables.sessions
    orphans = connection.execute(
        sa.select(actions.c.id, actions.c.start_timestamp, actions.c.additional_info, sessions.c.seen_at)
        .join(sessions, sessions.c.id == actions.c.owner_session)
        .where(actions.c.end_timestamp.is_(None), sessions.c.closed_at.is_not(None))
    ).all()
    closed = 0
    for row in orphans:
        end = max(row.start_timestamp, row.seen_at)
        info = {
            **row.additional_info,
            "ended_with_status": "error",
            "message": "The process that ran this task ended before the task did.",
            "orphaned": True,
        }
        closed += connection.execute(
            actions.update()
            .where(actions.c.id == row.id, actions.c.end_timestamp.is_(None))
            .values(
                end_timestamp=end,
                duration_ms=(end - row.start_timestamp).total_seconds() * 1000,
                additional_info=info,
                owner_session=ORPHANED,
                version=actions.c.version + 1,
            )
        ).rowcount
    count(connection, store.tables.counters, {"orphaned_tasks": closed})
    return closed
