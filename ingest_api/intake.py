"""What happens to a request: read, judge, redact, land, answer. No HTTP here."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fuel_stat.identity import node_id
from ingest_api.document import Document, Reader, texts_of
from ingest_api.errors import BrokenEnvelopeError, IngestError, NotJsonError
from ingest_api.judging import Judge, Reason
from ingest_api.kinds import Kind
from ingest_api.landing import Landing, Refused, compress, refused
from ingest_api.redaction import Redactor
from ingest_api.store import Store

_LONGEST_UID = 255
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What authentication says of a uid's records: how far they are trusted, and whether they are to be set aside."""

    tier: int = 0
    conflict: bool = False
    reason_code: str = ""


#: asked once a request with the uids of its good records; see ingest_api.authentication
Judgement = Callable[[Sequence[str]], Mapping[str, Verdict]]


@dataclass(slots=True)
class Answer:
    """What the node is told, and what is counted.

    Attributes:
        status: HTTP status.
        statuses: per-record answers (empty for a kind of one record).
        message: for a status of 400 and above.
        counts: records by status.
        removed: redacted values by rule.
        refused: quarantined records by reason code.
    """

    status: int
    statuses: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Sorted:
    """The records of a request, by what becomes of them. Keys are (uid, id, subtype); values are indices."""

    good: dict[tuple[str, int, str], int] = field(default_factory=dict)
    skipped: set[tuple[str, int, str]] = field(default_factory=set)
    bad: dict[int, Reason] = field(default_factory=dict)


class Intake:
    """The collector's domain: takes the body of one kind, returns the answer. Thread-safe."""

    def __init__(self, kinds: Mapping[str, Kind], reader: Reader, redactor: Redactor, store: Store) -> None:
        self._judges = {name: Judge(kind) for name, kind in kinds.items()}
        self._reader = reader
        self._redactor = redactor
        self._store = store

    def receive(
        self, kind: Kind, body: bytes, hint_uid: str | None, judge: Judgement, *, heard: bool = True
    ) -> Answer:
        """Take one request.

        Args:
            kind: what was posted.
            body: inflated.
            hint_uid: the uid that the header names; only a short cut, the body's uids count.
            judge: authentication's verdict on uids.
            heard: the node itself sends this now (not an operator who replays it).

        Raises:
            IngestError: when nothing of the request could be taken, or the database cannot take it now.
        """
        digest = hashlib.sha256(body).digest() if kind.ledger == "latest" else b""
        if digest and hint_uid and self._is_known(kind, hint_uid, digest, judge):
            return Answer(200, counts=Counter(updated=1))
        try:
            document = self._reader.read(body, kind.envelope, many=kind.many)
        except (NotJsonError, BrokenEnvelopeError) as error:
            self._keep_broken(kind, body, hint_uid, error)
            raise
        return self._take(kind, document, digest, judge, heard)

    def examine(self, kind: Kind, body: bytes) -> str | None:
        """Why a body with one record would be refused today, or None; nothing is written.

        Raises:
            IngestError: when it could not even be read.
        """
        document = self._reader.read(body, kind.envelope, many=kind.many)
        if document.poison:
            return document.poison[0].reason
        refusals = self._judges[kind.name].refusals(document.records)
        return next((reason.sentence for reason in refusals.values()), None)

    def _is_known(self, kind: Kind, uid: str, digest: bytes, judge: Judgement) -> bool:
        """Whether exactly these bytes are what the node of this uid sent last; then their uid is this one."""
        if "\0" in uid or len(uid) > _LONGEST_UID:
            return False
        verdict = judge([uid]).get(uid, Verdict())
        return not verdict.conflict and self._store.unchanged(kind, uid, digest, verdict.tier)

    def _keep_broken(self, kind: Kind, body: bytes, uid: str | None, error: IngestError) -> None:
        """Of what is not JSON digest, length and error are kept; of a broken envelope the redacted text too."""
        text = body
        keep = isinstance(error, BrokenEnvelopeError) and error.code == "broken_envelope"
        if keep:
            text = self._redactor.redact(body).text
        entry = refused(kind.name, None, None, error.code, error.sentence, text, keep=keep)
        self._store.write(kind, [], [entry])

    def _take(self, kind: Kind, document: Document, digest: bytes, judge: Judgement, heard: bool) -> Answer:
        sorting = self._sort(kind, document)
        redacted = self._redactor.redact(document.body, document.marks)
        uids = list(dict.fromkeys(key[0] for key in (*sorting.good, *sorting.skipped)))
        verdicts = judge(uids)
        texts: list[bytes] | None = None
        if sorting.bad or len(uids) > 1 or any(verdicts[uid].conflict for uid in uids if uid in verdicts):
            texts = texts_of(redacted.text, kind.envelope, many=kind.many)
        landings = self._landings(kind, document, sorting, redacted.text, texts, verdicts, digest)
        for landing in landings:
            landing.heard = heard
        kept = self._quarantined(kind, document, sorting, texts, verdicts)
        rows = self._store.write(kind, landings, kept) if landings or kept else []
        answer = self._answer(kind, document, sorting, landings, rows, verdicts)
        answer.removed = redacted.removed
        answer.refused = Counter(entry.code for entry in kept)
        return answer

    def _sort(self, kind: Kind, document: Document) -> _Sorted:
        judge = self._judges[kind.name]
        sorting = _Sorted(bad=judge.refusals(document.records))
        for index, record in enumerate(document.records):
            if index in sorting.bad:
                continue
            key = (
                record[kind.uid],
                record[kind.id] if kind.id else 0,
                record[kind.subtype] if kind.subtype else "",
            )
            if judge.unfinished(record):
                sorting.good.pop(key, None)
                sorting.skipped.add(key)
            else:
                sorting.skipped.discard(key)
                sorting.good[key] = index
        return sorting

    def _landings(
        self,
        kind: Kind,
        document: Document,
        sorting: _Sorted,
        text: bytes,
        texts: list[bytes] | None,
        verdicts: Mapping[str, Verdict],
        digest: bytes,
    ) -> list[Landing]:
        """One landing a node. With one node and no refused record the text is kept as it is, else it is split."""
        by_uid: dict[str, list[tuple[int, str, int]]] = {}
        for uid, _, _ in sorting.skipped:
            by_uid[uid] = []
        for (uid, record_id, subtype), index in sorting.good.items():
            by_uid.setdefault(uid, []).append((record_id, subtype, index))
        landings = []
        for uid, entries in by_uid.items():
            verdict = verdicts.get(uid, Verdict())
            if verdict.conflict:
                continue
            entries.sort()
            if texts is None:
                places = [index for _, _, index in entries]
                payload, records = text, len(document.records)
            else:
                places = list(range(len(entries)))
                payload = b"[" + b",".join(texts[index] for _, _, index in entries) + b"]"
                records = len(entries)
            keys = [
                (place, record_id, subtype, self._digest(kind, document.records[index]))
                for place, (record_id, subtype, index) in zip(places, entries, strict=True)
            ]
            landings.append(
                Landing(
                    node=node_id(uid),
                    uid=uid,
                    tier=verdict.tier,
                    records=records,
                    payload_bytes=len(payload),
                    payload=compress(payload) if keys else b"",
                    keys=keys,
                    digest=digest,
                )
            )
        return landings

    @staticmethod
    def _digest(kind: Kind, record: Any) -> bytes:
        """What tells two versions of a record apart, whatever the order of their members."""
        if kind.ledger != "version":
            return b""
        return hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).digest()[:16]

    def _quarantined(
        self,
        kind: Kind,
        document: Document,
        sorting: _Sorted,
        texts: list[bytes] | None,
        verdicts: Mapping[str, Verdict],
    ) -> list[Refused]:
        kept = []
        for index, reason in sorting.bad.items():
            uid = usable_uid(document.records[index], kind)
            position = document.positions[index]
            kept.append(
                refused(
                    kind.name, uid, position, reason.code, reason.sentence, (texts or [])[index], keep=True
                )
            )
        for poison in document.poison:
            redacted = self._redactor.redact(poison.text)
            uid = usable_uid(poison.value, kind)
            kept.append(
                refused(kind.name, uid, poison.position, poison.code, poison.reason, redacted.text, keep=True)
            )
        for (uid, _, _), index in sorting.good.items():
            verdict = verdicts.get(uid)
            if verdict is None or not verdict.conflict:
                continue
            sentence = "The records of this node are set aside until its operator has decided."
            position = document.positions[index]
            code = verdict.reason_code or "identity_conflict"
            text = (texts or [])[index]
            kept.append(refused(kind.name, uid, position, code, sentence, text, keep=True, tier=verdict.tier))
        return kept

    def _answer(
        self,
        kind: Kind,
        document: Document,
        sorting: _Sorted,
        landings: Sequence[Landing],
        rows: Sequence[Sequence[Any]],
        verdicts: Mapping[str, Verdict],
    ) -> Answer:
        first = next(iter(sorting.bad.values()), None)
        message = first.sentence if first else ""
        if document.poison and not message:
            message = document.poison[0].reason
        if not kind.many:
            return self._answer_one(landings, rows, sorting, message)
        fresh = _fresh_keys(kind, landings, rows)
        answer = Answer(200)
        known = "existed" if kind.ledger == "bitmap" else "updated"
        for key, index in sorting.good.items():
            conflict = key[0] in verdicts and verdicts[key[0]].conflict
            new = conflict or (key[0], *(_identity(kind, key, index))) in fresh
            answer.statuses.append(_status(kind, key[0], key[1], "added" if new else known))
        for key in sorting.skipped:
            answer.statuses.append(_status(kind, key[0], key[1], "skipped"))
        self._add_failed(kind, document, sorting, answer)
        answer.counts = Counter(entry["status"] for entry in answer.statuses)
        if answer.counts["failed"] and answer.counts["failed"] == len(answer.statuses):
            answer.status, answer.message = 400, f"No record of the request is good: {message}"
        return answer

    @staticmethod
    def _answer_one(
        landings: Sequence[Landing], rows: Sequence[Sequence[Any]], sorting: _Sorted, message: str
    ) -> Answer:
        if not sorting.good:
            return Answer(400, message=message, counts=Counter(failed=1))
        if landings and rows and rows[0] and rows[0][0][0]:
            return Answer(201, counts=Counter(added=1))
        return Answer(200, counts=Counter(updated=1))

    @staticmethod
    def _add_failed(kind: Kind, document: Document, sorting: _Sorted, answer: Answer) -> None:
        """One answer for each refused record, or for each key where it can be read; a good record of a key wins."""
        answered = {(key[0], key[1]) for key in (*sorting.good, *sorting.skipped)}
        values = [document.records[index] for index in sorting.bad]
        values += [poison.value for poison in document.poison]
        for value in values:
            uid, record_id = usable_uid(value, kind), usable_id(value, kind)
            if uid is not None and record_id is not None and kind.subtype is None:
                if (uid, record_id) in answered:
                    continue
                answered.add((uid, record_id))
            answer.statuses.append(_status(kind, uid, record_id, "failed"))


def _identity(kind: Kind, key: tuple[str, int, str], index: int) -> tuple[Any, ...]:
    return (key[1],) if kind.ledger == "bitmap" else (key[1], key[2])


def _fresh_keys(
    kind: Kind, landings: Sequence[Landing], rows: Sequence[Sequence[Any]]
) -> set[tuple[Any, ...]]:
    """The keys that nobody had sent before, from the rows of the landing statements."""
    fresh: set[tuple[Any, ...]] = set()
    for landing, answered in zip(landings, rows, strict=True):
        if not landing.keys or not answered:
            continue
        if kind.ledger == "bitmap":
            bits: dict[int, int] = dict(answered)
            fresh.update(
                (landing.uid, key[1]) for key in landing.keys if bits.get(key[1] >> 6, 0) >> (key[1] & 63) & 1
            )
        else:
            first = {place for place, new in answered if new}
            fresh.update((landing.uid, key[1], key[2]) for key in landing.keys if key[0] in first)
    return fresh


def _status(kind: Kind, uid: str | None, record_id: int | None, status: str) -> dict[str, Any]:
    return {kind.uid: uid, str(kind.id): record_id, "status": status}


def usable_uid(record: Any, kind: Kind) -> str | None:
    """A record's uid if it can be stored and answered, else None."""
    uid = record.get(kind.uid) if isinstance(record, dict) else None
    if not isinstance(uid, str) or not 0 < len(uid) <= _LONGEST_UID or "\0" in uid:
        return None
    try:
        uid.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return uid


def usable_id(record: Any, kind: Kind) -> int | None:
    """A record's id if it is an integer of 64 bits, else None."""
    value = record.get(kind.id) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        return None
    return value
