"""``fuel-stat reconcile``: the counts along the data's way, from the senders' own tally to what readers see."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from warehouse.errors import WarehouseError
from warehouse.integrity import IntegrityReport, check_integrity
from warehouse.integrity_judge import Row

STAGES = ("sent", "ledger", "landed", "raw", "fact", "published")


@dataclass(frozen=True)
class Sent:
    """What the senders say of a kind: distinct finished keys, and how they were answered in the end."""

    sent: int
    stored: int
    failed: int
    unanswered: int


@dataclass(frozen=True)
class Reconciliation:
    """Counts by kind and stage (None: the stage is not there) and what disagrees."""

    counts: dict[str, dict[str, int | None]]
    failed: dict[str, int]
    mismatches: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether all stages agree."""
        return not self.mismatches


def reconcile_counts(
    standby_dsn: str, warehouse_dsn: str, pepper: bytes, tally: Path | None = None
) -> Reconciliation:
    """Check all days and compare with the senders' tally.

    Args:
        tally: the fleet's ``tally.json``; left out when absent.

    Raises:
        WarehouseError: ``bad_tally`` when the file cannot be read.
    """
    with psycopg.connect(warehouse_dsn) as connection:
        published = connection.execute("select publication_id from ops.published").fetchone()
    required = ("published",) if published and published[0] is not None else ("fact",)
    report = check_integrity(standby_dsn, warehouse_dsn, pepper, everything=True, required=required)
    sent = read_tally(tally)
    counts = _counts(report, sent)
    mismatches = [*report.mismatches]
    for kind, said in sent.items():
        mismatches += _tally_mismatches(kind, said, report.ledger_total.get(kind, 0), standby_dsn)
    return Reconciliation(counts, {kind: said.failed for kind, said in sent.items()}, tuple(mismatches))


def read_tally(path: Path | None) -> dict[str, Sent]:
    """The senders' tally by kind; empty when there is none.

    Raises:
        WarehouseError: ``bad_tally``.
    """
    if path is None or not path.exists():
        return {}
    try:
        kinds: dict[str, dict[str, Any]] = json.loads(path.read_text())["kinds"]
        return {
            kind: Sent(
                int(found["sent"]),
                int(found["added"]) + int(found.get("existed", 0)),
                int(found["failed"]),
                int(found.get("unanswered", 0)),
            )
            for kind, found in kinds.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError("bad_tally", f"The senders' tally {path} cannot be read: {error!r}.") from error


def _tally_mismatches(kind: str, said: Sent, ledger: int, standby_dsn: str) -> list[str]:
    """Every finished key has one outcome, and what was answered as stored is in the ledger.

    The ledger may know more: other senders than the fleet, answers that were lost on the way, an import.
    """
    found = []
    if said.sent != said.stored + said.failed + said.unanswered:
        found.append(
            f"{kind}: {said.sent} finished keys were sent, but {said.stored} stored + {said.failed} failed"
            f" + {said.unanswered} unanswered"
        )
    keys = _distinct_keys(kind, standby_dsn, ledger)
    if keys < said.stored:
        found.append(f"{kind}: {said.stored} keys were answered as stored, the ledger knows {keys}")
    return found


def _distinct_keys(kind: str, standby_dsn: str, records: int) -> int:
    """Keys in the ledger: for kinds with versions fewer than landed records."""
    with psycopg.connect(standby_dsn) as connection:
        row = connection.execute(
            "select (select count(*) from collector.ledger_version where kind = %(kind)s)"
            " + (select count(*) from collector.ledger_latest where kind = %(kind)s)",
            {"kind": kind},
        ).fetchone()
    return int(row[0]) if row and row[0] else records


def _counts(report: IntegrityReport, sent: dict[str, Sent]) -> dict[str, dict[str, int | None]]:
    found: dict[str, dict[str, int | None]] = defaultdict(lambda: dict.fromkeys(STAGES))
    for row in report.rows:
        for stage, count in _stage_counts(row):
            if count is not None:
                found[row.kind][stage] = (found[row.kind][stage] or 0) + count
    for kind, total in report.ledger_total.items():
        found[kind]["ledger"] = total
    for kind, said in sent.items():
        found[kind]["sent"] = said.sent
    return {kind: found[kind] for kind in sorted(found)}


def _stage_counts(row: Row) -> list[tuple[str, int | None]]:
    return [
        ("landed", row.landed.count if row.landed else None),
        ("raw", row.raw.all.count),
        ("fact", row.fact.count if row.fact else None),
        ("published", row.published.count if row.published else None),
    ]
