"""Every way in which sending can go wrong, over real sockets: nothing is lost, nothing counts twice, and it is said."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.errors import ProviderError
from nailgun_sender.messenger import Cycle, MessengerSettings
from nailgun_sender.messenger.history import History
from nailgun_sender.messenger.lease import FACT, Lease
from nailgun_sender.messenger.summary import summary

from tests.integration.messenger.conftest import Collector, add_actions, unsent
from tests.integration.messenger.peers import Authority, peer, through

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def agreed(store):
    """The operator agreed, and five actions wait."""
    Receipts(store).agree(["actions"], who="op", via="test", include_past=True)
    add_actions(store, 5)


def cycle(store, url, *, structure=None, workloads=None, **options) -> Cycle:
    """A cycle that is soon at its wits' end."""
    values = {"backoff_least": 0.01, "backoff_most": 0.02, "attempts": 2, "read_timeout": 0.4, **options}
    settings = MessengerSettings(collector_url=url, **values)
    return Cycle(store, settings, structure, workloads, environ={})


def hang(connection, request):
    """Read the request and never answer."""
    connection.recv(1)


def drip(connection, request):
    """Answer a byte at a time, often enough to keep every read timeout quiet."""
    for byte in OK * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def drip_body(connection, request):
    """The same after the head."""
    connection.sendall(OK + b"Content-Length: 9999\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b" ")
        time.sleep(0.05)


def cut_head(connection, request):
    """End the connection within the head."""
    connection.sendall(OK)


def cut_body(connection, request):
    """End it within the body, whose length was told."""
    connection.sendall(OK + b'Content-Length: 500\r\n\r\n{"status": "ok", "action_logs": [')


def cut_chunk(connection, request):
    """End it within a chunk."""
    connection.sendall(OK + b'Transfer-Encoding: chunked\r\n\r\n40\r\n{"status"')


def not_http(connection, request):
    """Answer in another language."""
    connection.sendall(b"\x16\x03\x01\x00 220 mail.example.com ESMTP\r\n" * 3)


def bad_gzip(connection, request):
    """Say gzip and send something else."""
    connection.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")


def endless(connection, request):
    """Never stop answering."""
    connection.sendall(OK + b"Content-Length: 99999999\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def nothing(connection, request):
    """End the connection at once."""


@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        (hang, "timeout"),
        (drip, "timeout"),
        (drip_body, "timeout"),
        (cut_head, "retry"),
        (cut_body, "cut_off"),
        (cut_chunk, "cut_off"),
        (not_http, "cut_off"),
        (bad_gzip, "cut_off"),
        (endless, "answer_too_long"),
        (nothing, "cut_off"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_peer_that_does_not_answer_properly_is_tried_again_and_given_up(store, serve, outcome):
    """Each ends by itself within the time allowed, is tried as often as set, and marks and parks nothing."""
    with peer(serve) as (url, seen):
        began = time.monotonic()
        report = cycle(store, url, answer_timeout=0.8).run()
    assert time.monotonic() - began < 5
    told = "200, but the answer is not" if outcome == "retry" else outcome
    assert report.stopped.startswith(told), report.stopped
    assert len(seen) == 2
    assert unsent(store) == [1, 2, 3, 4, 5]
    assert [row["outcome"] for row in History(store).latest()] == [outcome, outcome]
    assert sum(report.parked.values()) == 0


def test_what_was_stored_before_the_answer_was_cut_counts_once(store, collector):
    """The collector committed, its answer was cut: sent again by the next cycle, known there, marked here."""

    def commit_and_cut(connection, request):
        records = json.loads(request.partition(b"\r\n\r\n")[2])["action_logs"]
        collector.stored.update({("action_logs", each["external_id"]): 1 for each in records})
        cut_body(connection, request)

    with peer(commit_and_cut) as (url, _):
        assert cycle(store, url, compress=False).run().stopped
    assert cycle(store, collector.url).run().sent["action_logs"] == 5
    assert set(collector.stored.values()) == {1}
    answers = {row["sent_answer"] for row in rows(store)}
    assert answers == {"existed"}


def rows(store):
    """The recorded actions."""
    with store.read() as connection:
        return connection.execute(store.tables.actions.select()).mappings().all()


def test_one_connection_serves_a_cycle(store, collector):
    """Answers are read to their end, so that a backlog does not open a connection a request."""
    add_actions(store, 25)
    assert cycle(store, collector.url, batch_records=10).run().complete
    assert (len(collector.seen), collector.connections) == (3, 1)


@pytest.fixture
def tls(tmp_path):
    """A collector behind TLS, by the authority that it is given; closed at the end."""
    opened = []

    def make(authority: Authority, **options) -> Collector:
        opened.append(Collector(authority.server(**options)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_a_private_authority_is_trusted_when_named(store, tmp_path, tls):
    """With ca_file the certificate of a private authority is good; nothing else is turned off."""
    authority = Authority(tmp_path)
    collector = tls(authority)
    assert cycle(store, collector.url, ca_file=str(authority.file)).run().complete
    assert unsent(store) == []


@pytest.mark.parametrize(
    "how", ["unknown authority", "other authority", "expired", "other name", "plain http"]
)
def test_a_wrong_certificate_sends_nothing(store, tmp_path, tls, collector, how):
    """Not one byte of a record goes to a peer that cannot prove who it is; the operator reads why."""
    authority = Authority(tmp_path)
    options = {"expired": {"lasts": timedelta(days=-1)}, "other name": {"address": "127.0.0.2"}}.get(how, {})
    server = collector if how == "plain http" else tls(authority, **options)
    trusted = {"unknown authority": "", "other authority": str(Authority(tmp_path, "Other").file)}
    url = server.url.replace("http://", "https://")
    report = cycle(store, url, ca_file=trusted.get(how, str(authority.file))).run()
    assert report.stopped.startswith("bad_certificate"), report.stopped
    assert server.seen == []
    assert len(unsent(store)) == 5


def test_a_client_certificate_opens_a_door_that_is_closed_without(store, tmp_path, tls):
    """A collector that asks for the node's certificate takes it, and takes nothing without."""
    authority = Authority(tmp_path)
    collector = tls(authority, clients=True)
    trust = {"ca_file": str(authority.file)}
    assert cycle(store, collector.url, **trust).run().stopped
    assert collector.seen == []
    certificate, key = authority.issue("node")
    mine = {"client_cert_file": str(certificate), "client_key_file": str(key)}
    assert cycle(store, collector.url, **trust, **mine).run().complete
    assert len(collector.seen) == 1


@pytest.mark.parametrize("name", ["ca_file", "client_cert_file"])
def test_a_certificate_file_that_is_none_is_named(store, tmp_path, name):
    """A wrong file ends the cycle with a sentence instead of with trouble nobody understands."""
    (tmp_path / "x.pem").write_text("not a certificate")
    options = {name: str(tmp_path / "x.pem")}
    if name == "client_cert_file":
        options["client_key_file"] = str(tmp_path / "missing.key")
    report = cycle(store, "https://127.0.0.1:1", **options).run()
    assert name in report.stopped


@pytest.mark.parametrize("secure", [False, True])
def test_everything_goes_through_the_proxy(store, tmp_path, tls, collector, secure):
    """With proxy_url the collector is reached through it, plain by an absolute address and TLS by a tunnel."""
    authority = Authority(tmp_path)
    server = tls(authority) if secure else collector
    with peer(through) as (proxy, seen):
        report = cycle(
            store, server.url, proxy_url=proxy, ca_file=str(authority.file), read_timeout=5.0
        ).run()
    assert report.complete, report.stopped
    assert len(server.seen) == 1
    assert seen[0].startswith(b"CONNECT" if secure else b"POST http://")
    assert (b"action_logs" in seen[0]) is not secure


def test_a_proxy_that_is_down_is_named(store, collector):
    """No way around it: the collector is not asked directly."""
    report = cycle(store, collector.url, proxy_url="http://127.0.0.1:1").run()
    assert report.stopped
    assert collector.connections == 0


def test_the_environments_proxy_is_not_taken(store, collector, monkeypatch):
    """Only the sender's own setting counts, or the preview of where things go would lie."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert cycle(store, collector.url).run().complete


class Broken:
    """A host whose providers fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def structure(self):
        """Raise."""
        raise self.error

    def workloads(self):
        """Raise."""
        raise self.error


@pytest.mark.parametrize("error", [ProviderError("x", "no database"), KeyError("clusters"), OSError("gone")])
def test_a_host_that_cannot_describe_itself_still_sends_its_actions(store, collector, error):
    """Whatever a provider raises is shown to the operator and keeps nothing else from being sent."""
    Receipts(store).agree(["actions", "configuration", "workloads"], who="op", via="test", include_past=True)
    broken = Broken(error)
    settings = MessengerSettings(collector_url=collector.url)
    sender = cycle(store, collector.url, structure=broken, workloads=broken)
    assert sender.run().sent["action_logs"] == 5
    shown = summary(store, sender, settings)["host_troubles"]
    assert [each.split(":")[0] for each in shown] == ["structure", "workloads"]
    assert type(error).__name__ in shown[0]


def test_two_senders_of_one_node_take_turns(store, collector):
    """While one sends another one does not; when its process is gone the next takes over at once."""
    lease = Lease(store)
    assert lease.take()
    assert cycle(store, collector.url).run().silent == "busy"
    assert collector.seen == []
    dead = json.loads(store.fact(FACT) or "")
    dead.update(pid=2**22 - 3, token="other")
    lease.give_back()
    with store.write() as connection:
        connection.execute(
            store.tables.facts.update()
            .where(store.tables.facts.c.name == FACT)
            .values(value=json.dumps(dead))
        )
    assert cycle(store, collector.url).run().complete
