"""Consent receipts: who decided what, when, on which text. Kept for ever, one row a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ..clock import now
from ..errors import SenderError
from ..store import Store
from .texts import NAMES, TEXT_VERSION, new_fields

UNDECIDED, ON, OFF = "undecided", "on", "off"


class ConsentError(SenderError):
    """A decision that cannot be taken."""


@dataclass(frozen=True)
class Decision:
    """The state of consent: ``undecided`` (nobody was asked yet), ``on`` or ``off``.

    ``levels`` are agreed to; ``since`` is the naive UTC time from which records may be sent (None: all);
    ``text_version`` is the text that was agreed to.
    """

    state: str = UNDECIDED
    levels: tuple[str, ...] = ()
    text_version: int = 0
    who: str = ""
    via: str = ""
    decided_at: datetime | None = None
    since: datetime | None = None

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
        return history[0] if history else Decision()

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

        What was recorded before the first agreement stays on the node unless ``include_past``; a later change of
        levels does not lose what was recorded under the earlier agreement.

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
        moment = now()
        since = before.since if before.state == ON else moment
        return self._keep(
            Decision(ON, chosen, TEXT_VERSION, who, via, moment, None if include_past else since)
        )

    def refuse(self, *, who: str, via: str) -> Decision:
        """Switch sending off."""
        return self._keep(Decision(OFF, (), TEXT_VERSION, who, via, now(), None))

    def _keep(self, decision: Decision) -> Decision:
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
        return decision
