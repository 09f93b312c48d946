"""Which errors of a source are worth another attempt."""

from __future__ import annotations

import psycopg

from warehouse.errors import ExtractionError

# 40001/40P01: cancelled by recovery; 57P0x and 08xxx and no state at all: the server went away.
_CONFLICT_STATES = {"40001", "40P01"}
_GONE_STATES = {"57P01", "57P02", "57P03", "57P04", "58P01"}


def is_recovery_conflict(error: BaseException) -> bool:
    """Whether the standby cancelled the read because replay needed what it was looking at."""
    return isinstance(error, psycopg.Error) and (
        error.sqlstate in _CONFLICT_STATES or "conflict with recovery" in str(error)
    )


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: a recovery conflict, or a server that went away, is starting or catches up."""
    if is_recovery_conflict(error):
        return True
    if isinstance(error, ExtractionError):
        return error.code == "source_went_back"
    if not isinstance(error, psycopg.OperationalError):
        return False
    state = error.sqlstate
    return state is None or state in _GONE_STATES or state.startswith("08")
