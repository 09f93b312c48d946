"""The fleet's public functions: send a whole fleet, replay recorded traffic, keep new records trickling."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.errors import CollectorUnreachableError, RecordedTrafficError
from fleet.installation import Installation, make_installation, uid_of
from fleet.node import Node
from fleet.records import ID_FIELD, sent_of, statuses
from fleet.tally import Tally, TallyStore
from fleet.truth import summarise
from fleet.wire import Answer, Connection, CycleAbortedError

_MOST_CYCLES = 60
_WRITE_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a run is: installations that have told everything, of how many."""

    done: int
    total: int


@dataclass(frozen=True)
class Probe:
    """One record that was trickled, for measuring freshness: unix times around its request."""

    uid: str
    external_id: int
    sent_at: float
    answered_at: float
    answer: str


def run_fleet(
    url: str,
    seed: int,
    nodes: int,
    days: int,
    home: Path,
    progress: Callable[[Progress], None] | None = None,
    *,
    concurrency: int = 8,
    patience_seconds: float = 60.0,
) -> Tally:
    """Send the history of a whole fleet to the collector at `url`; returns the tally of this home folder.

    Sending the same seed again sends exactly the same records: the end of the history (now, the first time) is
    remembered. A node that is refused (429, 503) or not answered tries again for `patience_seconds`.

    Raises:
        CollectorUnreachableError: a node got no answer within its patience.
    """
    with TallyStore(home) as store:
        now = store.anchor(f"{seed}/{nodes}/{days}", datetime.now(UTC))
        counter = _Counter(store, nodes, progress)

        def send(number: int) -> None:
            installation = make_installation(seed, number, days, now)
            _tell_everything(url, installation, store, patience_seconds)
            counter.one_more()

        with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="node") as pool:
            futures = [pool.submit(send, number) for number in range(nodes)]
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            pool.shutdown(cancel_futures=True)
            for future in finished:
                future.result()
        return store.write()


class _Counter:
    """Counts installations across threads, reports, and writes the tally now and then."""

    def __init__(self, store: TallyStore, total: int, progress: Callable[[Progress], None] | None) -> None:
        self._lock = threading.Lock()
        self._store = store
        self._total = total
        self._progress = progress
        self._done = 0
        self._written = time.monotonic()

    def one_more(self) -> None:
        with self._lock:
            self._done += 1
            if time.monotonic() - self._written > _WRITE_EVERY_SECONDS:
                self._store.write()
                self._written = time.monotonic()
            if self._progress:
                self._progress(Progress(self._done, self._total))


def _tell_everything(url: str, installation: Installation, store: TallyStore, patience: float) -> None:
    """All visits of an installation, each with as many cycles as its backlog needs."""
    with Connection(url) as connection:
        node = Node(installation, store, connection)
        for visit in installation.visits:
            node.wake(visit)
            give_up = time.monotonic() + patience
            for _ in range(_MOST_CYCLES):
                before = node.backlog
                try:
                    pause = node.cycle(visit)
                except CycleAbortedError as error:
                    pause, reason = 1.0, str(error)
                else:
                    reason = "it refuses for now (429 or 503)"
                    if pause is None and node.backlog in (0, before):
                        break
                if pause is not None:
                    if time.monotonic() + pause > give_up:
                        raise CollectorUnreachableError(url, reason)
                    time.sleep(pause)


def replay(url: str, folder: Path, home: Path, progress: Callable[[Progress], None] | None = None) -> Tally:
    """Send the recorded exchanges in `folder` in their order; returns the tally of this home folder.

    Raises:
        RecordedTrafficError: the folder is missing, empty or holds something else.
        CollectorUnreachableError: a request was not answered.
    """
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise RecordedTrafficError(
            f"no recorded exchanges in {folder}: name their folder with --path or FUEL_STAT_RECORDED"
        )
    with TallyStore(home) as store, Connection(url) as connection:
        for number, path in enumerate(files, start=1):
            try:
                request = json.loads(path.read_text())["request"]
                _replay_one(connection, store, request)
            except (KeyError, ValueError, TypeError) as error:
                raise RecordedTrafficError(f"{path} is not a recorded exchange: {error!r}") from error
            except CycleAbortedError as error:
                raise CollectorUnreachableError(url, str(error)) from error
            if progress:
                progress(Progress(number, len(files)))
        return store.write()


def _replay_one(connection: Connection, store: TallyStore, request: dict[str, Any]) -> None:
    body: str = request["body"]
    headers = {
        name: value for name, value in request["headers"] if name in ("content-type", "master-node-uid")
    }
    document = json.loads(body) if body else {}
    kind = next(iter(document), "")
    content = document.get(kind)
    records = [content] if isinstance(content, dict) else content or []
    sent = [sent_of(kind, record) for record in records]
    store.sending(sent)
    data = body.encode() if body else None
    answer = connection.exchange(request["method"], request["path"], data, headers)
    if kind in ID_FIELD:
        answered = statuses(answer, kind, sent)
        store.answered([(one, answered[one.id]) for one in sent if one.id in answered])
    elif sent:
        store.answered([(sent[0], structure_answer(answer))])
        if answer.acceptable:
            store.structure_stored(sent[0].uid, summarise(records[0]))


def structure_answer(answer: Answer) -> str:
    """What an answer to a structure means for the tally: `created`, `updated`, `failed` or `unanswered`."""
    if answer.acceptable:
        return "created" if answer.status == 201 else "updated"
    return "failed" if answer.status == 400 else "unanswered"


def trickle(
    url: str,
    seed: int,
    nodes: int,
    *,
    rate: float,
    home: Path,
    stop: threading.Event,
    on_sent: Callable[[Probe], None] | None = None,
) -> Tally:
    """Keep sending new action logs of the fleet's nodes, `rate` a second, one a request, until `stop` is set.

    The records happen now, continue each node's ids and are tallied like all others. A request that is not
    answered or refused is sent again before the next one.
    """
    with TallyStore(home) as store, Connection(url) as connection:
        uids = [uid_of(seed, number) for number in range(nodes)]
        last = {uid: store.highest_id("action_logs", uid) for uid in uids}
        due, number = time.monotonic(), 0
        while not stop.wait(max(0.0, due - time.monotonic())):
            uid = uids[number % len(uids)]
            last[uid] += 1
            probe = _trickle_one(connection, store, uid, last[uid], stop)
            if probe and on_sent:
                on_sent(probe)
            number += 1
            due = max(due + 1.0 / rate, time.monotonic() - 1.0)
        return store.write()


def _trickle_one(
    connection: Connection, store: TallyStore, uid: str, number: int, stop: threading.Event
) -> Probe | None:
    record = {"body": _request_now(number), "external_id": number, "master_node_uid": uid}
    sent = sent_of("action_logs", record)
    store.sending([sent])
    while not stop.is_set():
        sent_at = time.time()
        try:
            answer = connection.post("action_logs", json.dumps({"action_logs": [record]}), uid)
        except CycleAbortedError:
            stop.wait(0.5)
            continue
        status = statuses(answer, "action_logs", [sent]).get(number)
        if status is None:
            stop.wait(answer.retry_after or 0.5)
            continue
        store.answered([(sent, status)])
        return Probe(uid, number, sent_at, time.time(), status)
    return None


def _request_now(number: int) -> dict[str, Any]:
    stamp = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return {
        "id": number,
        "actor_id": None,
        "action_group": "master_node_settings",
        "action_name": "master_node_settings",
        "action_type": "http_request",
        "start_timestamp": stamp,
        "end_timestamp": stamp,
        "additional_info": {
            "request_data": {"http_method": "PUT", "url": "/api/settings/", "data": {}},
            "response_data": {"status": "200 OK", "data": {}},
        },
        "is_sent": False,
        "cluster_id": None,
        "task_uuid": None,
    }
