"""One cycle of sending: structure, action logs, workloads; each record until it is settled, or the time is up.

A record is marked only after the collector's answer, which comes only after its commit: a crash anywhere makes us
send it again, and the collector knows it by its key. So nothing is lost and nothing counts twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..consent import Permission, Receipts, permission
from ..providers import StructureProvider, WorkloadProvider
from ..sanitise.structure import structure as sanitise
from ..store import Store
from ..store.upsert import insert_or_ignore
from ..workloads import record
from .answers import VERDICTS, Act, Answer, Judged, collectors_time, judge
from .history import History
from .outbox import Outbox, agreed_fields
from .parcel import Item, Parcel
from .settings import MessengerSettings
from .signing import Key
from .transport import Transport, TransportError


class _Stop(Exception):
    """The cycle ends here; the message says why."""


@dataclass
class Report:
    """What a cycle did: ``silent`` is the reason why nothing was even tried; ``stopped`` why it ended early."""

    silent: str = ""
    stopped: str = ""
    sent: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    last_error: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything that was fresh is settled."""
        return not self.silent and not self.stopped


class Cycle:
    """The sender of one node.

    Args:
        store: the node's database.
        settings: addresses, limits and waits.
        structure: describes the installation when configuration may be sent; None: not sent. Sanitised here.
        workloads: looked at before each cycle when workloads may be sent; None: only what is recorded already.
        environ: where DO_NOT_TRACK and the kill switch are looked for.
        sleep: waits; replaced by a daemon that must stop quickly.
    """

    def __init__(
        self,
        store: Store,
        settings: MessengerSettings,
        structure: StructureProvider | None = None,
        workloads: WorkloadProvider | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._settings = settings
        self._structure = structure
        self._workloads = workloads
        self._environ = os.environ if environ is None else environ
        self._sleep = sleep
        self._history = History(store)
        self._transport: Transport | None = None
        self._key: Key | None = None
        self._ends_at = 0.0

    def permission(self) -> Permission:
        """What may be sent right now."""
        return permission(Receipts(self._store).current(), self._environ)

    def uid(self) -> str:
        """The node's uid: the setting, or one that was made once and is kept."""
        if self._settings.node_uid:
            return self._settings.node_uid
        kept = self._store.fact_or_new("master_node_uid")
        return f"{kept[:8]}-{kept[8:12]}-{kept[12:16]}-{kept[16:20]}-{kept[20:32]}"

    def run(self) -> Report:
        """Send what is fresh; returns when all is settled, the deadline passed or the collector is out of reach."""
        report = Report()
        granted = self.permission()
        if not granted.allowed:
            report.silent = granted.reason
            return report
        self._ends_at = time.monotonic() + self._settings.deadline
        self._look_at_workloads(granted)
        self._transport = Transport(self._settings)
        try:
            for parcel in self.parcels(granted):
                self._deliver(parcel, granted, report)
        except _Stop as stop:
            report.stopped = str(stop)
        finally:
            self._transport.close()
            self._transport = None
        return report

    def outbox(self) -> Outbox:
        """The records of this node under the present permission."""
        return Outbox(self._store, self.uid(), self.permission())

    def parcels(self, granted: Permission) -> Iterator[Parcel]:
        """The requests that a cycle would send now, in order: also what the preview shows."""
        compress = self._settings.compress
        structure = self._fresh_structure(granted)
        if structure is not None:
            yield Parcel.make("installation_structure", [structure], compress=compress)
        outbox = Outbox(self._store, self.uid(), granted)
        for level, kind in (("actions", "action_logs"), ("workloads", "oswl_stats")):
            if level not in granted.levels:
                continue
            for batch in outbox.batches(kind, self._settings.batch_records, self._settings.batch_bytes):
                yield Parcel.make(kind, batch, compress=compress)

    def _fresh_structure(self, granted: Permission) -> Item | None:
        if self._structure is None or "configuration" not in granted.levels:
            return None
        found = sanitise(self._structure.structure(), contact="contact" in granted.levels)
        agreed = {
            path.split(".")[0].split("[")[0] for path in agreed_fields("configuration", granted.text_version)
        }
        document = {name: value for name, value in found.items() if name in agreed}
        # Whether contact data goes is a level of its own, and the sanitiser has left out what may not.
        document["user_information"] = found.get("user_information", {"contact_info_provided": False})
        document["master_node_uid"] = self.uid()
        if self._is_known(document):
            return None
        return Item(0, 0, document)

    def _look_at_workloads(self, granted: Permission) -> None:
        if self._workloads is not None and "workloads" in granted.levels:
            record(self._store, list(self._workloads.workloads()))

    def _is_known(self, document: Mapping[str, Any]) -> bool:
        if self._store.fact("structure_sent") != _digest(document):
            return False
        sent_at = float(self._store.fact("structure_sent_at") or 0)
        return 0 <= time.time() - sent_at < self._settings.heartbeat

    def _deliver(self, parcel: Parcel, granted: Permission, report: Report) -> None:
        waiting = [parcel]
        while waiting:
            current = waiting.pop()
            judged = self._try(current, report)
            if judged.act is Act.DELIVERED:
                self._settle(current, judged, granted, report)
            elif judged.act is Act.OVERTAKEN:
                report.last_error = judged.detail
            elif judged.act is Act.SPLIT and len(current.items) > 1:
                waiting.extend(reversed(current.halves()))
            else:
                self._park(current, judged, granted, report)

    def _try(self, parcel: Parcel, report: Report) -> Judged:
        resigned = False
        wait = self._settings.backoff_least
        for attempt in range(1, self._settings.attempts + 2):
            # Consent may have been withdrawn, or the switch thrown, since the last request.
            if not self.permission().allowed:
                raise _Stop("consent was withdrawn")
            answer, judged = self._send(parcel, report)
            if judged.act is Act.RESIGN and not resigned and answer is not None:
                resigned = True
                self._correct_clock(answer)
                continue
            if judged.act in (Act.DELIVERED, Act.SPLIT, Act.OVERTAKEN):
                return judged
            report.last_error = judged.detail
            if judged.act is not Act.RETRY or attempt >= self._settings.attempts:
                raise _Stop(judged.detail)
            self._wait(max(judged.wait, random.uniform(wait / 2, wait)), judged.detail)
            wait = min(wait * 2, self._settings.backoff_most)
        raise _Stop("the collector was tried often enough")

    def _send(self, parcel: Parcel, report: Report) -> tuple[Answer | None, Judged]:
        assert self._transport is not None
        number = self._history.begin(parcel, self._transport.url(parcel.path))
        report.requests += 1
        try:
            answer = self._transport.post(parcel, self._headers(parcel))
        except TransportError as error:
            self._history.end(number, error.code, str(error), None)
            return None, Judged(Act.RETRY, f"{error.code}: {error}")
        judged = judge(answer)
        self._history.end(number, judged.act.value, judged.detail, answer.status)
        return answer, judged

    def _headers(self, parcel: Parcel) -> dict[str, str]:
        assert self._transport is not None
        headers = {"master-node-uid": self.uid(), "Accept-Encoding": "gzip"}
        if self._settings.key_file and self._store.fact("enrolled") is not None:
            if self._key is None:
                self._key = Key.load_or_make(Path(self._settings.key_file))
            headers.update(self._key.sign("POST", self._transport.url(parcel.path), parcel.wire))
        return headers

    def _correct_clock(self, answer: Answer) -> None:
        theirs = collectors_time(answer.headers)
        if self._key is not None and theirs is not None:
            self._key.offset = theirs - time.time()

    def _wait(self, seconds: float, why: str) -> None:
        seconds = min(seconds, self._settings.backoff_most)
        if time.monotonic() + seconds >= self._ends_at:
            raise _Stop(f"out of time: {why}")
        self._sleep(seconds)

    def _settle(self, parcel: Parcel, judged: Judged, granted: Permission, report: Report) -> None:
        if parcel.kind == "installation_structure":
            self.remember_structure(parcel.items[0].record)
            report.sent[parcel.kind] += 1
        else:
            fates = list(_fates(parcel, judged.document or {}))
            Outbox(self._store, self.uid(), granted).settle(parcel.kind, fates)
            counts = Counter(fate for _, fate, _ in fates)
            report.sent[parcel.kind] += counts["sent"]
            report.parked[parcel.kind] += counts["park"]
        if time.monotonic() >= self._ends_at:
            raise _Stop("out of time")

    def _park(self, parcel: Parcel, judged: Judged, granted: Permission, report: Report) -> None:
        report.last_error = judged.detail
        report.parked[parcel.kind] += len(parcel.items)
        if parcel.kind == "installation_structure":
            # The same refused structure is not sent again until it changes or the heartbeat is due.
            self.remember_structure(parcel.items[0].record)
            return
        fates = [(item, "park", judged.detail) for item in parcel.items]
        Outbox(self._store, self.uid(), granted).settle(parcel.kind, fates)

    def remember_structure(self, document: Mapping[str, Any]) -> None:
        """Note that this structure was sent, so that it is not sent again until it changes."""
        facts = self._store.tables.facts
        values = {"structure_sent": _digest(document), "structure_sent_at": str(time.time())}
        with self._store.write() as connection:
            for name, value in values.items():
                insert_or_ignore(connection, facts, [{"name": name, "value": value}])
                connection.execute(facts.update().where(facts.c.name == name).values(value=value))


def _fates(parcel: Parcel, document: Mapping[str, Any]) -> Iterator[tuple[Item, str, str]]:
    """Each record's fate by its own verdict; a record without a verdict is kept and sent again."""
    id_name = "external_id" if parcel.kind == "action_logs" else "id"
    verdicts = {}
    listed = document.get(parcel.kind)
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            verdicts[entry.get(id_name)] = str(entry.get("status"))
    for item in parcel.items:
        word = verdicts.get(item.row_id, "")
        yield item, VERDICTS[parcel.kind].get(word, "keep"), word


def _digest(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
