"""Consent receipts: who decided what, when, on which text. Kept for ever, one row a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..clock import now
from ..errors import SenderError
from ..store import Store
from ..store.upsert import insert_or_ignore
from .texts import NAMES, TEXT_VERSION, new_fields

UNDECIDED, ON, OFF = "undecided", "on", "off"
KIND_OF_LEVEL: Mapping[str, str] = {"actions": "action_logs", "workloads": "oswl_stats"}
"""The levels whose records pile up on the node, and the kind that the collector knows them by."""


class ConsentError(SenderError):
    """A decision that cannot be taken."""


@dataclass(frozen=True)
class Decision:
    """The state of consent: ``undecided`` (nobody was asked yet), ``on`` or ``off``.

    ``levels`` are agreed to; ``text_version`` is the text that was agreed to. ``since`` is the naive UTC time of the
    agreement (None: what was recorded before goes too); what counts is ``after``, by kind the number of the last
    record made before it: a clock that was wrong at that moment must not hold back what came later.
    """

    state: str = UNDECIDED
    levels: tuple[str, ...] = ()
    text_version: int = 0
    who: str = ""
    via: str = ""
    decided_at: datetime | None = None
    since: datetime | None = None
    after: Mapping[str, int] = field(default_factory=dict)

    @property
    def must_ask_again(self) -> bool:
        """Whether this release wants fields that the agreed text did not name."""
        return self.state == ON and any(new_fields(self.text_version, self.levels))


class Receipts:
    """The decisions of this node."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def current(self) -> Decision:
        """The latest decision."""
        history = self.history(1)
        if not history:
            return Decision()
        after = {kind: int(self._store.fact(_past(kind)) or 0) for kind in KIND_OF_LEVEL.values()}
        return replace(history[0], after=after)

    def history(self, limit: int = 100) -> list[Decision]:
        """The decisions, newest first."""
        consents = self._store.tables.consents
        query = sa.select(consents).order_by(consents.c.id.desc()).limit(limit)
        with self._store.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Decision(
                state=row["state"],
                levels=tuple(row["levels"]),
                text_version=row["text_version"],
                who=row["who"],
                via=row["via"],
                decided_at=row["decided_at"],
                since=row["since"],
            )
            for row in rows
        ]

    def agree(self, levels: Sequence[str], *, who: str, via: str, include_past: bool = False) -> Decision:
        """Switch sending on for these levels.

        What was recorded before a level was agreed to stays on the node unless ``include_past``; a later change does
        not lose what was recorded under the earlier agreement.

        Raises:
            ConsentError: ``unknown_level`` or ``no_level``.
        """
        unknown = [name for name in levels if name not in NAMES]
        if unknown:
            raise ConsentError(
                "unknown_level", f"There is no level {unknown[0]!r}; there are {', '.join(NAMES)}."
            )
        chosen = tuple(name for name in NAMES if name in levels)
        if not chosen:
            raise ConsentError("no_level", "Choose at least one level, or switch sending off.")
        before = self.current()
        held = before.levels if before.state == ON else ()
        moment = now()
        since = None if include_past else before.since if held else moment
        fresh = [] if include_past else [name for name in chosen if name not in held]
        return self._keep(Decision(ON, chosen, TEXT_VERSION, who, via, moment, since), fresh, include_past)

    def refuse(self, *, who: str, via: str) -> Decision:
        """Switch sending off."""
        return self._keep(Decision(OFF, (), TEXT_VERSION, who, via, now(), None), [], False)

    def _keep(self, decision: Decision, fresh: Sequence[str], include_past: bool) -> Decision:
        consents = self._store.tables.consents
        with self._store.write() as connection:
            connection.execute(
                consents.insert().values(
                    state=decision.state,
                    levels=list(decision.levels),
                    text_version=decision.text_version,
                    who=decision.who,
                    via=decision.via,
                    decided_at=decision.decided_at,
                    since=decision.since,
                )
            )
            for level, kind in KIND_OF_LEVEL.items():
                if include_past:
                    self._set_past(connection, kind, 0)
                elif level in fresh:
                    self._set_past(connection, kind, self._last(connection, kind))
        return self.current()

    def _last(self, connection: Connection, kind: str) -> int:
        tables = self._store.tables
        table = tables.actions if kind == "action_logs" else tables.workloads
        return int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0)

    def _set_past(self, connection: Connection, kind: str, number: int) -> None:
        facts = self._store.tables.facts
        insert_or_ignore(connection, facts, [{"name": _past(kind), "value": str(number)}])
        connection.execute(facts.update().where(facts.c.name == _past(kind)).values(value=str(number)))


def _past(kind: str) -> str:
    return f"before_consent_{kind}"
