"""One sender at a time on a node: a second one (a thread beside the daemon, ``send-now``) waits for its turn.

Two would do no harm, since the collector knows each record; they would only send everything twice.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import Any

import sqlalchemy as sa

from .. import clock
from ..store import Store
from ..store.upsert import insert_or_ignore

FACT = "sending_now"
PATIENCE = (
    1800.0  # seconds; longer than any request with its wait. Only for a holder that cannot be looked at
)
RENEWED_EVERY = 60.0
_active: set[str] = set()
"""Tokens that this process uses: one that a failed database kept us from giving back is not among them."""


class Lease:
    """The right to send, kept in the node's database; that of a process that died is free at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._token = secrets.token_hex(8)
        self._renewed = 0.0

    def take(self) -> bool:
        """Whether we may send now."""
        facts = self._store.tables.facts
        with self._store.write() as connection:
            insert_or_ignore(connection, facts, [{"name": FACT, "value": ""}])
            query = sa.select(facts.c.value).where(facts.c.name == FACT).with_for_update()
            held: Any = connection.execute(query).scalar_one()
            if _is_held(held):
                return False
            connection.execute(facts.update().where(facts.c.name == FACT).values(value=self._value()))
        _active.add(self._token)
        self._renewed = time.monotonic()
        return True

    def renew(self) -> None:
        """Say that we still send; seldom more than a look at the clock."""
        if time.monotonic() - self._renewed < RENEWED_EVERY:
            return
        self._write(self._value())
        self._renewed = time.monotonic()

    def give_back(self) -> None:
        """Let the next one send."""
        _active.discard(self._token)
        self._write("")

    def _write(self, value: str) -> None:
        facts = self._store.tables.facts
        with self._store.write() as connection:
            mine = sa.and_(facts.c.name == FACT, facts.c.value.like(f'%"{self._token}"%'))
            connection.execute(facts.update().where(mine).values(value=value))

    def _value(self) -> str:
        holder = {
            "token": self._token,
            "host": clock.host_name(),
            "boot": clock.boot_id(),
            "pid": os.getpid(),
            "start": clock.process_start(os.getpid()) or "unknown",
            "at": time.time(),
        }
        return json.dumps(holder)


def _is_held(value: str) -> bool:
    if not value:
        return False
    holder = json.loads(value)
    if holder["host"] == clock.host_name():
        if holder["boot"] != clock.boot_id():
            return False
        seen = clock.process_start(holder["pid"])
        if seen is None or ("unknown" not in (seen, holder["start"]) and seen != holder["start"]):
            return False
        if holder["pid"] == os.getpid() and holder["token"] not in _active:
            return False
    return abs(time.time() - float(holder["at"])) < PATIENCE
