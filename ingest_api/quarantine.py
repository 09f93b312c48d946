"""What was set aside, for the operator: look at it, and take it after the schema or the code was mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import psycopg
import zstandard
from psycopg.rows import class_row

from ingest_api.document import Reader
from ingest_api.errors import IngestError
from ingest_api.intake import Intake, Verdict
from ingest_api.kinds import SHIPPED, Kind, load_kinds
from ingest_api.redaction import Redactor
from ingest_api.screen import make_scanner
from ingest_api.store import Store

_COLUMNS = """quarantine_id, kind, node, uid, reason_code, reason, position, payload_bytes, payload, tier, state,
    seen_count, first_seen, last_seen"""
_ANY_SIZE = 1_000_000
#: codes whose kept text is the whole body, not one record
_WHOLE_BODY = frozenset({"broken_envelope"})


@dataclass(frozen=True)
class Entry:
    """One row of the quarantine; times are UTC."""

    quarantine_id: int
    kind: str
    node: UUID | None
    uid: str | None
    reason_code: str
    reason: str
    position: int | None
    payload_bytes: int
    payload: bytes | None
    tier: int
    state: str
    seen_count: int
    first_seen: datetime
    last_seen: datetime

    def text(self) -> str | None:
        """The redacted text that was kept; None when only its digest was."""
        if self.payload is None:
            return None
        return zstandard.ZstdDecompressor().decompress(self.payload).decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Replayed:
    """What a replay did with an entry, or would do: ``added``, ``existed``, ``updated``, ``skipped``, ``failed`` (with
    the reason of today), ``superseded`` (the node sent a newer one since) or ``no_payload``."""

    quarantine_id: int
    kind: str
    was: str
    outcome: str
    reason: str


def entries(
    dsn: str,
    *,
    ids: Sequence[int] = (),
    state: str | None = "open",
    kind: str | None = None,
    node: UUID | None = None,
    reason_code: str | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Entries of the quarantine, oldest first; each condition that is given must hold."""
    conditions = ["true"]
    values: dict[str, object] = {}
    wanted = {"state": state, "kind": kind, "node": node, "reason_code": reason_code}
    for column, value in wanted.items():
        if value is not None:
            conditions.append(f"{column} = %({column})s")
            values[column] = value
    if ids:
        conditions.append("quarantine_id = any(%(ids)s)")
        values["ids"] = list(ids)
    # Only fixed column names are put into the text.
    statement = f"select {_COLUMNS} from collector.quarantine where {' and '.join(conditions)}"
    statement += " order by quarantine_id" + (f" limit {int(limit)}" if limit is not None else "")
    with psycopg.connect(dsn, row_factory=class_row(Entry)) as connection:
        return connection.execute(statement, values).fetchall()


def settle(dsn: str, ids: Sequence[int], state: str) -> int:
    """Mark entries ``replayed`` or ``discarded`` (or ``open`` again); returns how many."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(
            "update collector.quarantine set state = %s where quarantine_id = any(%s)", (state, list(ids))
        )
        return cursor.rowcount


def replay(
    dsn: str,
    *,
    ids: Sequence[int] = (),
    kind: str | None = None,
    node: UUID | None = None,
    reason_code: str | None = None,
    tier: int | None = None,
    dry_run: bool = False,
    kinds_folder: Path | None = None,
) -> list[Replayed]:
    """Send open entries through the schemas and the code of today.

    What is good now is landed and marked ``replayed``; what is not stays as it is. Landing is idempotent, so an
    interrupted replay is simply done again.

    Args:
        dsn: the collector's primary as fuel_admin.
        ids, kind, node, reason_code: which entries; all open ones by default.
        tier: trust of the landed records; by default what was noted with each entry.
        dry_run: change nothing, say what would happen.
        kinds_folder: a further folder of kinds, as the collector has it.
    """
    kinds = load_kinds([SHIPPED] + ([kinds_folder] if kinds_folder else []))
    scanner = make_scanner()
    store = Store(dsn)
    intake = Intake(kinds, Reader(scanner, _ANY_SIZE), Redactor(scanner), store)
    chosen = entries(dsn, ids=ids, kind=kind, node=node, reason_code=reason_code)
    try:
        return list(_replay_each(dsn, intake, kinds, chosen, tier, dry_run))
    finally:
        store.close()


def _replay_each(
    dsn: str,
    intake: Intake,
    kinds: dict[str, Kind],
    chosen: list[Entry],
    tier: int | None,
    dry_run: bool,
) -> Iterator[Replayed]:
    for entry in chosen:
        outcome, reason = _replay_one(dsn, intake, kinds.get(entry.kind), entry, tier, dry_run)
        if not dry_run and outcome not in ("failed", "no_payload"):
            settle(dsn, [entry.quarantine_id], "discarded" if outcome == "superseded" else "replayed")
        yield Replayed(entry.quarantine_id, entry.kind, entry.reason_code, outcome, reason)


def _replay_one(
    dsn: str, intake: Intake, kind: Kind | None, entry: Entry, tier: int | None, dry_run: bool
) -> tuple[str, str]:
    if entry.payload is None:
        return "no_payload", "Only the digest was kept."
    if kind is None:
        return "failed", f"The kind {entry.kind} is not declared."
    if kind.ledger == "latest" and _superseded(dsn, entry):
        return "superseded", "The node has sent a newer one since."
    return _take(intake, kind, entry, tier, dry_run)


def _take(intake: Intake, kind: Kind, entry: Entry, tier: int | None, dry_run: bool) -> tuple[str, str]:
    body = _body(kind, entry)
    trust = entry.tier if tier is None else tier
    try:
        refusal = intake.examine(kind, body)
        if refusal is not None:
            return "failed", refusal
        if dry_run:
            return "good", "It would be taken."
        answer = intake.receive(
            kind, body, None, lambda uids: dict.fromkeys(uids, Verdict(trust)), heard=False
        )
    except IngestError as error:
        return "failed", error.sentence
    return next(iter(answer.counts), "added"), ""


def _superseded(dsn: str, entry: Entry) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select received_at > %s from collector.ledger_latest where node = %s and kind = %s",
            (entry.last_seen, entry.node, entry.kind),
        ).fetchone()
    return bool(row and row[0])


def _body(kind: Kind, entry: Entry) -> bytes:
    text = zstandard.ZstdDecompressor().decompress(entry.payload or b"")
    if entry.reason_code in _WHOLE_BODY:
        return text
    inner = b"[" + text + b"]" if kind.many else text
    return b'{"' + kind.envelope.encode() + b'":' + inner + b"}"
