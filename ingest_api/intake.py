"""What happens to a request: read, judge, redact, land, answer. No HTTP here."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fuel_stat.identity import node_id
from ingest_api import outcome
from ingest_api.acceptance import Acceptance, Accepted
from ingest_api.document import Document, Reader, texts_of
from ingest_api.errors import BrokenEnvelopeError, IngestError, NotJsonError
from ingest_api.judging import Judge, Reason
from ingest_api.kinds import Kind
from ingest_api.landing import Landing, Refused, compress, refused
from ingest_api.outcome import LONGEST_UID, Answer, Key, usable_uid
from ingest_api.redaction import Redactor
from ingest_api.screen import Marks
from ingest_api.store import Fresh, Store

#: how many nodes' latest digests a worker remembers
_MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What authentication says of a uid's records: how far they are trusted, and whether they are to be set aside."""

    tier: int = 0
    conflict: bool = False
    reason_code: str = ""


_LEGACY = Verdict()
#: asked once a request with the uids of its good records; see ingest_api.authentication
Judgement = Callable[[Sequence[str]], Mapping[str, Verdict]]


@dataclass(slots=True)
class _Sorted:
    """The records of a request, by what becomes of them. Keys are (uid, id, subtype); values are indices."""

    good: dict[Key, int] = field(default_factory=dict)
    skipped: set[Key] = field(default_factory=set)
    bad: dict[int, Reason] = field(default_factory=dict)


class Intake:
    """The collector's domain: takes the body of one kind, returns the answer. Thread-safe."""

    def __init__(self, kinds: Mapping[str, Kind], reader: Reader, redactor: Redactor, store: Store) -> None:
        self._judges = {name: Judge(kind) for name, kind in kinds.items()}
        self._acceptances = {name: Acceptance(kind) for name, kind in kinds.items()}
        self._latest: OrderedDict[tuple[str, str], bytes] = OrderedDict()
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
            return Answer(200, counts={"updated": 1})
        marks = self._reader.scan(body)
        accepted = self._accept(kind, body, marks)
        if accepted is not None:
            uid = next(iter(accepted.uids))
            verdicts = judge([uid])
            verdict = verdicts.get(uid, _LEGACY)
            if not verdict.conflict:
                return self._take_accepted(kind, body, marks, accepted, uid, verdict.tier, digest, heard)
            # Judged once a request: quotas count it.
            judge = lambda _: verdicts  # noqa: E731
        try:
            document = self._reader.read(body, kind.envelope, many=kind.many, marks=marks)
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
        if "\0" in uid or len(uid) > LONGEST_UID:
            return False
        # What this worker saw last from the node is another one: very likely a change, which the ledger settles anyway.
        if self._latest.get((kind.name, uid), digest) != digest:
            return False
        verdict = judge([uid]).get(uid, _LEGACY)
        return not verdict.conflict and self._store.unchanged(kind, uid, digest, verdict.tier)

    def _accept(self, kind: Kind, body: bytes, marks: Marks) -> Accepted | None:
        """The columns of a request that is like nearly all: every record good, of one node, each key once."""
        acceptance = self._acceptances[kind.name]
        if not acceptance.compiled or not self._reader.is_plain(body, marks):
            return None
        accepted = acceptance.accept(body)
        if accepted is None or len(accepted.uids) != 1 or accepted.count > self._reader.max_records:
            return None
        return accepted if len(set(accepted.ids)) == len(accepted.ids) else None

    def _take_accepted(
        self,
        kind: Kind,
        body: bytes,
        marks: Marks,
        accepted: Accepted,
        uid: str,
        tier: int,
        digest: bytes,
        heard: bool,
    ) -> Answer:
        redacted = self._redactor.redact(body, marks)
        ids, skipped = accepted.ids, accepted.skipped
        places: Sequence[int] = range(accepted.count)
        if skipped:
            left_out = set(skipped)
            places = [place for place in places if place not in left_out]
            ids = [ids[place] for place in places]
        text = redacted.text
        landing = Landing(
            node_id(uid), uid, tier, accepted.count, len(text), compress(text) if places else b"", places, ids,
            digest=digest, heard=heard,
        )  # fmt: skip
        fresh = self._store.write(kind, [landing], [])[0]
        if kind.many:
            answer = outcome.of_accepted(
                kind, uid, landing, [accepted.ids[place] for place in skipped], fresh
            )
        else:
            self._remember(kind, uid, digest)
            answer = outcome.of_one(True, bool(fresh.get(0)), "")
        answer.removed = redacted.removed
        return answer

    def _remember(self, kind: Kind, uid: str, digest: bytes) -> None:
        self._latest[kind.name, uid] = digest
        if len(self._latest) > _MOST_REMEMBERED:
            self._latest.popitem(last=False)

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
        fresh = self._store.write(kind, landings, kept) if landings or kept else []
        answer = self._answer(kind, document, sorting, landings, fresh, verdicts)
        answer.removed = redacted.removed
        answer.refused = outcome.tally(entry.code for entry in kept)
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
            verdict = verdicts.get(uid, _LEGACY)
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
            versions = kind.ledger == "version"
            landings.append(
                Landing(
                    node_id(uid), uid, verdict.tier, records, len(payload), compress(payload) if entries else b"",
                    places=places,
                    ids=[record_id for record_id, _, _ in entries],
                    subtypes=[subtype for _, subtype, _ in entries] if versions else (),
                    digests=[_digest(document.records[index]) for _, _, index in entries] if versions else (),
                    digest=digest,
                )
            )  # fmt: skip
        return landings

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
        fresh: Sequence[Fresh],
        verdicts: Mapping[str, Verdict],
    ) -> Answer:
        first = next(iter(sorting.bad.values()), None)
        message = first.sentence if first else ""
        if document.poison and not message:
            message = document.poison[0].reason
        if not kind.many:
            return outcome.of_one(bool(sorting.good), bool(fresh and fresh[0].get(0)), message)
        new = outcome.fresh_keys(kind, landings, fresh)
        answer = Answer(200)
        known = outcome.known_status(kind)
        for key in sorting.good:
            conflict = key[0] in verdicts and verdicts[key[0]].conflict
            said = "added" if conflict or key in new else known
            answer.statuses.append(outcome.status(kind, key[0], key[1], said))
        for key in sorting.skipped:
            answer.statuses.append(outcome.status(kind, key[0], key[1], "skipped"))
        values = [document.records[index] for index in sorting.bad] + [
            poison.value for poison in document.poison
        ]
        answered = {(key[0], key[1]) for key in (*sorting.good, *sorting.skipped)} if values else set()
        answer.statuses += outcome.failed(kind, values, answered)
        answer.counts = outcome.tally([entry["status"] for entry in answer.statuses])
        if answer.counts.get("failed") == len(answer.statuses) > 0:
            answer.status, answer.message = 400, f"No record of the request is good: {message}"
        return answer


def _digest(record: Any) -> bytes:
    """What tells two versions of a record apart, whatever the order of their members."""
    return hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).digest()[:16]
