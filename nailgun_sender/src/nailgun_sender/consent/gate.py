"""Whether anything may be sent right now. Asked before every connection; the answer no means: not one packet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .receipts import OFF, ON, Decision

DO_NOT_TRACK = "DO_NOT_TRACK"
KILL_SWITCH = "FUEL_STAT_SENDER_DISABLED"
_NO = {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Permission:
    """``allowed`` with the agreed levels, or not, with the reason (a code) and a sentence for the operator.

    ``after``: by kind of record, the number up to which records were made before consent, and stay.
    """

    allowed: bool
    reason: str
    sentence: str
    levels: tuple[str, ...] = ()
    after: Mapping[str, int] = field(default_factory=dict)
    text_version: int = 0


def permission(decision: Decision, environ: Mapping[str, str]) -> Permission:
    """What the environment and the operator allow; the environment's no wins over everything."""
    for name in (DO_NOT_TRACK, KILL_SWITCH):
        value = environ.get(name, "")
        if value.strip().lower() not in _NO:
            return Permission(
                False, name.lower(), f"{name}={value} is set in the environment: nothing is sent."
            )
    if decision.state == ON:
        return Permission(
            True,
            "agreed",
            "The operator agreed.",
            decision.levels,
            decision.after,
            decision.text_version,
        )
    if decision.state == OFF:
        return Permission(False, "refused", "The operator switched sending off.")
    return Permission(False, "undecided", "Nobody has decided yet: nothing is sent.")
