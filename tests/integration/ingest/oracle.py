"""An independent statement of the exact answer to a request: standard library JSON, jsonschema's Draft 4, a dict."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parents[3] / "ingest_api" / "schemas"
MEMBERS = {"action_logs": "external_id", "oswl_stats": "id"}


def schema_of(kind: str) -> dict[str, Any]:
    """The record schema, version 1."""
    return json.loads((SCHEMAS / kind / f"{kind}.1.schema.json").read_text())  # type: ignore[no-any-return]


@dataclass
class Oracle:
    """What a collector with an empty database answers to requests of one kind, one after the other."""

    kind: str
    known: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    landed: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.validator = jsonschema.Draft4Validator(schema_of(self.kind))

    def answer(self, text: bytes) -> tuple[int, list[tuple[Any, Any, str]] | None]:
        """Status, and the per-record answers as a sorted list (None for a refused envelope or a structure)."""
        body = json.loads(text)
        if not isinstance(body, dict) or set(body) != {self.kind}:
            return 400, None
        if self.kind == "installation_structure":
            return self._structure(body[self.kind], text), None
        if not isinstance(body[self.kind], list):
            return 400, None
        return self._records(body[self.kind])

    def is_good(self, record: Any) -> bool:
        """The schema's verdict, and that a workload's day exists."""
        if not self.validator.is_valid(record):
            return False
        if self.kind != "oswl_stats":
            return True
        try:
            date.fromisoformat(record["created_date"])
        except ValueError:
            return False
        return True

    def _structure(self, record: Any, text: bytes) -> int:
        if not self.is_good(record):
            self.refused += 1
            return 400
        uid = record["master_node_uid"]
        before = self.known.get((uid,))
        self.landed += before != text
        self.known[(uid,)] = text
        return 201 if before is None else 200

    def _records(self, records: list[Any]) -> tuple[int, list[tuple[Any, Any, str]]]:
        last: dict[tuple[Any, ...], Any] = {}
        bad = []
        for record in records:
            if not self.is_good(record):
                bad.append(record)
                continue
            key = (record["master_node_uid"], record[MEMBERS[self.kind]], record.get("resource_type"))
            last.pop(key, None)
            last[key] = record
        answers = [(key[0], key[1], self._take(key, record)) for key, record in last.items()]
        answered = {(uid, number) for uid, number, _ in answers}
        for record in bad:
            uid, number = self._readable(record)
            if uid is not None and number is not None and self.kind == "action_logs":
                if (uid, number) in answered:
                    continue
                answered.add((uid, number))
            answers.append((uid, number, "failed"))
        self.refused += len(bad)
        all_failed = bool(answers) and all(status == "failed" for _, _, status in answers)
        return (400 if all_failed else 200), sorted(answers, key=repr)

    def _take(self, key: tuple[Any, ...], record: Any) -> str:
        if self.kind == "action_logs":
            body = record["body"]
            if body["action_type"] == "nailgun_task" and body.get("end_timestamp") in (None, ""):
                return "skipped"
            if key in self.known:
                return "existed"
            self.known[key] = True
            self.landed += 1
            return "added"
        text = json.dumps(record, sort_keys=True)
        before = self.known.get(key)
        self.landed += before != text
        self.known[key] = text
        return "added" if before is None else "updated"

    def _readable(self, record: Any) -> tuple[Any, Any]:
        if not isinstance(record, dict):
            return None, None
        uid, number = record.get("master_node_uid"), record.get(MEMBERS[self.kind])
        if not isinstance(uid, str) or not 0 < len(uid) <= 255:
            uid = None
        if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**63:
            number = None
        return uid, number
