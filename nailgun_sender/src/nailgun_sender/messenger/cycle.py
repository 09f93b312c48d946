"""One cycle of sending: structure, action logs, workloads; each record until it is settled, or the time is up.

A record is marked only after the collector's answer, which comes only after its commit: a crash anywhere makes us
send it again, and the collector knows it by its key. So nothing is lost and nothing counts twice.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..consent import LEVELS, TEXT_VERSION, Permission, Receipts, permission
from ..consent.receipts import KIND_OF_LEVEL
from ..providers import StructureProvider, WorkloadProvider
from ..store import Store
from .answers import VERDICTS, Act, Answer, Judged, collectors_time, judge
from .description import Description
from .history import History
from .lease import Lease
from .outbox import Outbox
from .parcel import Item, Parcel
from .settings import MessengerSettings
from .signing import Key, SigningError
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
        stopping: whether we were told to end; asked before each request.
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
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._settings = settings
        self._description = Description(store, structure, workloads, settings.heartbeat)
        self._environ = os.environ if environ is None else environ
        self._sleep = sleep
        self._stopping = stopping
        self._lease = Lease(store)
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
        if not self._lease.take():
            report.silent = "busy"
            return report
        try:
            self._send_all(granted, report)
        finally:
            self._lease.give_back()
        return report

    def _send_all(self, granted: Permission, report: Report) -> None:
        self._ends_at = time.monotonic() + self._settings.deadline
        self._description.look_at_workloads(granted)
        try:
            self._transport = Transport(self._settings)
            for parcel in self.parcels(granted):
                self._deliver(parcel, granted, report)
        except (_Stop, SigningError, TransportError) as stop:
            report.stopped = str(stop)
        finally:
            if self._transport is not None:
                self._transport.close()
            self._transport = None

    def outbox(self) -> Outbox:
        """The records of this node under the present permission."""
        return Outbox(self._store, self.uid(), self.permission())

    def would_send(self) -> Permission:
        """What the preview shows: what may be sent; before a decision, what agreeing to all but contact would send."""
        granted = self.permission()
        if granted.allowed:
            return granted
        decision = Receipts(self._store).current()
        levels = decision.levels or tuple(level.name for level in LEVELS if level.name != "contact")
        version = decision.text_version if decision.levels else TEXT_VERSION
        after = decision.after if decision.levels else {}
        return Permission(False, granted.reason, granted.sentence, levels, after, version)

    def look(self) -> None:
        """Bring the day's workload records up to now, as a cycle does first, so that a preview shows the same.

        Only where they may be sent: a preview before the decision does not ask a cloud for anything.
        """
        granted = self.permission()
        if granted.allowed:
            self._description.look_at_workloads(granted)

    def parcels(self, granted: Permission) -> Iterator[Parcel]:
        """The requests that a cycle would send now, in order: also what the preview shows."""
        compress = self._settings.compress
        structure = self._description.fresh_structure(granted, self.uid())
        if structure is not None:
            yield Parcel.make("installation_structure", [structure], compress=compress)
        outbox = Outbox(self._store, self.uid(), granted)
        for level, kind in KIND_OF_LEVEL.items():
            if level not in granted.levels:
                continue
            for batch in outbox.batches(kind, self._settings.batch_records, self._settings.batch_bytes):
                yield Parcel.make(kind, batch, compress=compress)

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
            if self._stopping():
                raise _Stop("told to stop")
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
        self._lease.renew()
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
        signature = self.signature(self._transport.url(parcel.path), parcel.wire)
        return {"master-node-uid": self.uid(), "Accept-Encoding": "gzip", **signature}

    def signature(self, url: str, wire: bytes) -> dict[str, str]:
        """The headers that sign these bytes for this address; none when the node has no bound key.

        Raises:
            SigningError: it has one, and it cannot be used.
        """
        if not self._settings.key_file or self._store.fact("enrolled") is None:
            return {}
        if self._key is None:
            self._key = Key.load_or_make(Path(self._settings.key_file))
        return self._key.sign("POST", url, wire)

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
            self._description.remember(parcel.items[0].record)
            report.sent[parcel.kind] += 1
        else:
            fates = list(fates_of(parcel, judged.document or {}))
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
            self._description.remember(parcel.items[0].record)
            return
        fates = [(item, "park", judged.detail) for item in parcel.items]
        Outbox(self._store, self.uid(), granted).settle(parcel.kind, fates)

    def remember_structure(self, document: Mapping[str, Any]) -> None:
        """Note that this structure arrived in another way."""
        self._description.remember(document)


def fates_of(parcel: Parcel, document: Mapping[str, Any]) -> Iterator[tuple[Item, str, str]]:
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
