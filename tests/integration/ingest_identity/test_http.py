"""Attack scenarios over HTTP against the real collector; the node's side is the sender's own signing code."""

from __future__ import annotations

import gzip
import json
import time

import psycopg
import pytest
from nailgun_sender.messenger.signing import Key

from fuel_stat.identity import node_id
from ingest_api.identity import operator
from tests.integration.ingest.server import running_server

SEEN_AT_ONCE = {"FUEL_STAT_INGEST_KEY_CACHE_SECONDS": "0.05"}


@pytest.fixture
def server(collector_pair, tmp_path):
    """One collector with two workers, and a client of it."""
    with (
        running_server(collector_pair.dsn("fuel_ingest"), tmp_path, environ=SEEN_AT_ONCE) as running,
        running.client() as client,
    ):
        yield running, client


@pytest.fixture
def admin(collector_pair):
    """The operator's connection."""
    with psycopg.connect(collector_pair.dsn("fuel_admin"), autocommit=True) as connection:
        yield connection


class Node:
    """A node that can enrol, sign and send."""

    def __init__(self, server, folder, uid="node-1", name="key"):
        running, self.client = server
        self.url, self.uid = running.url, uid
        self.key = Key.load_or_make(folder / f"{name}.pem")

    def enrol(self, code=None, signed_by=None):
        body = json.dumps(self.key.enrolment(self.uid, code)).encode()
        headers = {"Content-Type": "application/json"}
        if signed_by:
            headers.update(signed_by.key.sign("POST", f"{self.url}/api/v1/enrol", body))
        return self.client.post("/api/v1/enrol", content=body, headers=headers)

    def send(self, ids, *, sign=True, compress=True, tamper=False, offset=0.0):
        records = [
            {"master_node_uid": self.uid, "external_id": number, "body": {"action_type": "http_request"}}
            for number in ids
        ]
        body = json.dumps({"action_logs": records}).encode()
        wire = gzip.compress(body, mtime=0) if compress else body
        headers = {"Content-Type": "application/json"}
        if compress:
            headers["Content-Encoding"] = "gzip"
        if sign:
            self.key.offset = offset
            headers.update(self.key.sign("POST", f"{self.url}/api/v1/action_logs/", wire))
        if tamper:
            other = body.replace(b"102", b"103")
            wire = gzip.compress(other, mtime=0) if compress else other
        return self.client.post("/api/v1/action_logs/", content=wire, headers=headers)


def tiers(admin, uid="node-1"):
    """(tier, records taken) of what was landed for the uid, in order."""
    return admin.execute(
        "select tier, coalesce(cardinality(taken), records) from collector.landing where node = %s"
        " order by received_at",
        (node_id(uid),),
    ).fetchall()


def set_aside(admin, uid="node-1"):
    """Reasons of what was set aside for the uid."""
    rows = admin.execute(
        "select reason_code, count(*) from collector.quarantine where uid = %s group by 1 order by 1", (uid,)
    )
    return dict(rows.fetchall())


def settle():
    """Wait until every worker has looked at the keys again."""
    time.sleep(0.1)


@pytest.mark.slow
def test_from_first_use_to_a_forger(server, admin, tmp_path):
    """First use binds (T1); a forger's unsigned, foreign and tampered requests get a success and are set aside."""
    node, forger = Node(server, tmp_path), Node(server, tmp_path, name="forger")
    assert node.enrol().status_code == 201
    settle()
    assert node.send([1, 2]).json()["action_logs"][0]["status"] == "added"
    assert node.send([3], compress=False).status_code == 200
    for forged in (
        forger.send([100], sign=False),
        forger.send([101]),
        node.send([102], tamper=True),
    ):
        assert forged.status_code == 200
        assert forged.json()["status"] == "ok"
    assert tiers(admin) == [(1, 2), (1, 1)]
    assert set_aside(admin) == {"identity_conflict": 3}


@pytest.mark.slow
def test_an_outsider_with_a_uid_does_not_lock_the_owner_out(server, admin, tmp_path):
    """A uid with unsigned history: the outsider's key only waits, the owner reports on as T0, a code makes it T2."""
    owner, outsider = Node(server, tmp_path), Node(server, tmp_path, name="outsider")
    assert owner.send([1], sign=False).status_code == 200
    assert outsider.enrol().status_code == 202
    settle()
    assert owner.send([2], sign=False).json()["action_logs"][0]["status"] == "added"
    assert tiers(admin) == [(0, 1), (0, 1)]
    assert owner.enrol(code="invented").status_code == 403
    assert owner.enrol(code=operator.make_code(admin, "node-1")).json()["tier"] == 2
    settle()
    assert owner.send([3]).status_code == 200
    assert tiers(admin)[-1] == (2, 1)


@pytest.mark.slow
def test_a_clock_a_year_off_is_told_the_time(server, tmp_path):
    """401 clock_skew with a Date; signed again with that time the same records are added."""
    node = Node(server, tmp_path)
    node.enrol()
    settle()
    refused = node.send([1], offset=-365 * 86400)
    assert (refused.status_code, refused.json()["code"]) == (401, "clock_skew")
    assert refused.json()["status"] == "error"
    assert "date" in refused.headers
    assert node.send([1]).json()["action_logs"][0]["status"] == "added"


@pytest.mark.slow
def test_rotation_theft_and_recovery(server, admin, tmp_path):
    """The old key brings in the new one; a stolen key is revoked; the owner comes back with a code."""
    old, new = Node(server, tmp_path), Node(server, tmp_path, name="new")
    old.enrol()
    assert new.enrol().status_code == 202
    assert new.enrol(signed_by=old).status_code == 200
    settle()
    assert new.send([1]).status_code == 200
    assert old.send([2]).status_code == 200
    assert tiers(admin) == [(1, 1)]
    code = operator.reset_key(admin, "node-1")
    settle()
    new.send([3])
    assert set_aside(admin) == {"identity_conflict": 1, "revoked_key": 1}
    owner = Node(server, tmp_path, name="owner")
    assert owner.enrol(code=code).status_code == 201
    settle()
    assert owner.send([4]).json()["action_logs"][0]["status"] == "added"


def test_a_replayed_request_adds_nothing(server, admin, tmp_path):
    """The very same signed bytes again: existed, and no second row."""
    node = Node(server, tmp_path)
    first, second = node.send([1]), node.send([1])
    assert [answer.json()["action_logs"][0]["status"] for answer in (first, second)] == ["added", "existed"]
    assert len(tiers(admin)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b"{}", 400), (b"x" * 9000, 413), (b'{"master_node_uid": "\\u0000"}', 400)],
)
def test_a_broken_enrolment_is_answered_in_json(server, body, status):
    """Every refusal is JSON with status, code and sentence; none is a 5xx."""
    answer = server[1].post("/api/v1/enrol", content=body)
    assert answer.status_code == status
    assert answer.json()["status"] == "error"
    assert answer.json()["code"]
