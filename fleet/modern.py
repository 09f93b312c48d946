"""Modern nodes: the same kind of installations, recording and sending through `nailgun_sender` as a host would.

A host application behind the recording middleware serves requests and runs tasks, the operator agrees, the node's key
is enrolled, and one cycle of the messenger sends what was recorded, signed. What they record happens now: the package
trusts no clock but its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings
from nailgun_sender.messenger.enrolment import enrol
from nailgun_sender.providers import ClusterWorkload
from nailgun_sender.store import Store
from nailgun_sender.workloads import record as record_workloads

from fleet.errors import CollectorUnreachableError
from fleet.installation import Installation, make_installation
from fleet.records import sent_of
from fleet.tally import Sent, Tally, TallyStore
from fleet.truth import summarise
from nailgun_sender import Recorder, RecordingMiddleware, SenderError, Settings

FIRST_NUMBER = 1_000_000
"""Modern nodes have numbers of their own, so that no legacy node shares its uid."""
_LEVELS = ("actions", "configuration", "workloads")
_REQUESTS = 40


class _Described:
    """What the node tells about itself: the provider that a host implements."""

    def __init__(self, installation: Installation) -> None:
        self._visit = installation.visits[-1]
        self._all = [workload for visit in installation.visits for workload in visit.workloads]

    def structure(self) -> Mapping[str, Any]:
        return self._visit.structure

    def workloads(self) -> Iterable[ClusterWorkload]:
        latest = {(one.cluster_id, one.resource_type): one for one in self._all}
        for (cluster_id, resource_type), one in sorted(latest.items()):
            yield ClusterWorkload(cluster_id, resource_type, one.data["current"], one.version_info or {})


def run_modern(url: str, seed: int, count: int, days: int, home: Path) -> Tally:
    """Let `count` modern nodes live and send; returns the tally of this home folder.

    Raises:
        CollectorUnreachableError: a node's cycle ended without having sent everything.
    """
    with TallyStore(home) as tally:
        now = tally.anchor(f"{seed}/modern/{days}", datetime.now(UTC))
        for number in modern_nodes(count):
            send_modern(url, seed, number, days, now, tally)
        return tally.write()


def send_modern(url: str, seed: int, number: int, days: int, now: datetime, tally: TallyStore) -> str:
    """Let the `number`th modern node live a little and send; returns its trust: `signed` or `unsigned`.

    Its database and key stay below `<home>/fleet/modern/`, so that a further run is a further day of the same node.

    Raises:
        CollectorUnreachableError: its cycle ended without having sent everything.
    """
    installation = make_installation(seed, FIRST_NUMBER + number, days, now)
    folder = tally.folder / "modern" / installation.uid
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(database_url=f"sqlite:///{folder}/sender.sqlite")
    messenger = MessengerSettings(
        collector_url=url,
        node_uid=installation.uid,
        key_file=str(folder / "node.key"),
        attempts=3,
        deadline=60.0,
    )
    _live(installation, settings)
    store = Store.open(settings)
    try:
        described = _Described(installation)
        record_workloads(store, list(described.workloads()))
        if Receipts(store).current().state != "on":
            Receipts(store).agree(_LEVELS, who="operator", via="fleet", include_past=True)
        trust = _enrolled(store, messenger, installation.uid)
        _send(store, Cycle(store, messenger, described, environ={}), tally, url)
    finally:
        store.close()
    return trust


def _live(installation: Installation, settings: Settings) -> None:
    """Requests through the middleware, some refused, and tasks, some failing."""
    rng = Random(installation.uid)
    recorder = Recorder(settings)
    host = RecordingMiddleware(_host, recorder)
    requests = [
        a.body["additional_info"] for a in installation.actions if a.body["action_type"] == "http_request"
    ]
    for info in rng.sample(requests, min(_REQUESTS, len(requests))):
        _call(host, info["request_data"], info["response_data"]["status"])
    for cluster in installation.visits[-1].structure["clusters"]:
        for operation in ("check_networks", "verify_networks", "deploy"):
            task = recorder.tasks.start_task(operation, cluster_id=cluster["id"])
            recorder.tasks.finish_task(task, rng.choice(("ready", "ready", "error")))
    recorder.flush()
    recorder.close()


def _host(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(environ["fleet.status"], [("Content-Type", "application/json")])
    return [b"{}"]


def _call(host: RecordingMiddleware, request: Mapping[str, Any], status: str) -> None:
    environ = {
        "REQUEST_METHOD": request["http_method"],
        "PATH_INFO": request["url"],
        "REMOTE_USER": "admin",
        "fleet.status": status,
    }
    for _ in host(environ, lambda *_: lambda _: None):
        pass


def _enrolled(store: Store, settings: MessengerSettings, uid: str) -> str:
    """Bind the node's key; a collector that does not enrol it is sent unsigned reports."""
    try:
        return "signed" if enrol(store, settings, uid) == "active" else "unsigned"
    except SenderError:
        return "unsigned"


def _send(store: Store, cycle: Cycle, tally: TallyStore, url: str) -> None:
    """One cycle, tallied: what is about to go is written down before, the answers after."""
    parcels = [(parcel.kind, item) for parcel in cycle.parcels(cycle.permission()) for item in parcel.items]
    sent = [(kind, item.row_id, item.record, sent_of(kind, item.record)) for kind, item in parcels]
    tally.sending([one for *_, one in sent])
    report = cycle.run()
    answered: list[tuple[Sent, str]] = []
    for kind, row_id, record, one in sent:
        answer = _structure_answer(store) if kind == "installation_structure" else _word(store, kind, row_id)
        if answer:
            answered.append((one, answer))
        if kind == "installation_structure" and answer in ("created", "updated"):
            tally.structure_stored(one.uid, summarise(record))
    tally.answered(answered)
    if not report.complete:
        raise CollectorUnreachableError(url, report.stopped or report.silent)


def _word(store: Store, kind: str, row_id: int) -> str | None:
    """What the collector said of a row: its word when it was sent, `failed` when it was parked."""
    tables = store.tables
    table = tables.actions if kind == "action_logs" else tables.workloads
    with store.read() as connection:
        word = connection.execute(sa.select(table.c.sent_answer).where(table.c.id == row_id)).scalar()
        parked = tables.parked
        if (
            word is None
            and connection.execute(
                sa.select(parked.c.reason).where(parked.c.kind == kind, parked.c.row_id == row_id)
            ).first()
        ):
            return "failed"
    return word


def _structure_answer(store: Store) -> str | None:
    """The answer to the latest structure: `created` (201), `updated` (200), `failed` (400) or None."""
    parcels = store.tables.parcels
    query = sa.select(parcels.c.http_status).where(parcels.c.kind == "installation_structure")
    with store.read() as connection:
        status = connection.execute(query.order_by(parcels.c.id.desc()).limit(1)).scalar()
    return {201: "created", 200: "updated", 400: "failed"}.get(status or 0)


def modern_nodes(count: int) -> Iterator[int]:
    """The numbers of modern nodes whose simulated structure is neither deformed nor refused."""
    number = 0
    while count:
        if (FIRST_NUMBER + number) % 20 != 11 and (FIRST_NUMBER + number) % 60 != 41:
            yield number
            count -= 1
        number += 1
