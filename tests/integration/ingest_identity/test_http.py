"""Attack scenarios over HTTP against the real collector; the node's side is the sender's own signing code."""

from __future__ import annotations

import gzip
import json
import time

import psycopg
import pytest
from nailgun_sender.messenger.signing import Key
from typer.testing import CliRunner

from fuel_stat.identity import node_id
from ingest_api.cli import quarantine
from ingest_api.identity import operator
from ingest_api.nodes_cli import nodes
from tests.integration.ingest.samples import structure
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


@pytest.fixture
def command(collector_pair, monkeypatch):
    """The operator's commands on this database; they must succeed."""
    monkeypatch.setenv("FUEL_STAT_COLLECTOR_ADMIN_DSN", collector_pair.dsn("fuel_admin"))

    def run(door, *arguments):
        done = CliRunner().invoke(door, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def ids_landed(admin, uid="node-1"):
    """How many different action logs the ledger knows of the uid."""
    statement = (
        "select coalesce(sum(bit_count(bits::bit(64))), 0) from collector.ledger_bitmap where node = %s"
    )
    return admin.execute(statement, (node_id(uid),)).fetchone()[0]


@pytest.mark.slow
def test_conflicts_are_replayed_after_the_operators_decision(server, admin, command, tmp_path):
    """A node that lost its key: its unsigned reports wait in quarantine; after reset-key they are taken, once each."""
    node = Node(server, tmp_path)
    assert node.enrol().status_code == 201
    settle()
    node.send([1, 2])
    for _ in range(2):
        assert node.send([3, 4], sign=False).json()["action_logs"][0]["status"] == "added"
    assert (set_aside(admin), ids_landed(admin)) == ({"identity_conflict": 2}, 2)
    assert "identity_conflict" in command(quarantine, "list", "--node", "node-1")
    code = command(nodes, "reset-key", "node-1").strip().rpartition(" ")[2]
    settle()
    assert node.send([5], sign=False).json()["action_logs"][0]["status"] == "added"
    assert "2 added" in command(quarantine, "replay", "--node", "node-1")
    assert ids_landed(admin) == 5
    assert "nothing to do" in command(quarantine, "replay", "--node", "node-1")
    assert node.send([3, 4], sign=False).json()["action_logs"][0]["status"] == "existed"
    assert [tier for tier, _ in tiers(admin)] == [1, 0, 0, 0]
    again = Node(server, tmp_path, name="again")
    assert again.enrol(code=code).json()["tier"] == 2
    settle()
    again.send([6])
    assert tiers(admin)[-1] == (2, 1)


@pytest.mark.slow
def test_a_blocked_node_is_set_aside_and_taken_after_the_block(server, admin, command, tmp_path):
    """A block looks like success to the node; lifted by mistake's end, what was set aside is taken."""
    node = Node(server, tmp_path)
    node.send([1], sign=False)
    command(nodes, "block", "node-1", "--reason", "looked like a flood")
    settle()
    assert node.send([2], sign=False).json()["action_logs"][0]["status"] == "added"
    assert (set_aside(admin), ids_landed(admin)) == ({"node_blocked": 1}, 1)
    command(nodes, "unblock", "node-1")
    settle()
    assert "1 added" in command(quarantine, "replay", "--reason", "node_blocked")
    assert ids_landed(admin) == 2


@pytest.mark.slow
def test_cloned_machines_show_in_the_list(server, command):
    """Two machines of one uid, whose structures alternate: nodes flag finds it, nodes list and show say it."""
    for number in range(6):
        body = {"installation_structure": structure("clone", clusters_num=number % 2)}
        assert server[1].post("/api/v1/installation_structure/", json=body).status_code in (200, 201)
    for number in range(6):
        body = {"installation_structure": structure("honest", clusters_num=number)}
        server[1].post("/api/v1/installation_structure/", json=body)
    assert "1 flagged" in command(nodes, "flag")
    rows = {row["uid"]: row["flags"] for row in json.loads(command(nodes, "list", "--json"))}
    assert rows == {"clone": ["alternating_structures"], "honest": []}
    assert json.loads(command(nodes, "show", "clone"))["flags"][0]["flag"] == "alternating_structures"


def test_enrolments_are_limited_like_new_nodes(collector_pair, tmp_path):
    """Who invents uids to bind them meets the cap on new nodes (429), and can be heard of again later."""
    few = {"FUEL_STAT_INGEST_NEW_NODES_PER_HOUR": "2"}
    with (
        running_server(collector_pair.dsn("fuel_ingest"), tmp_path, workers=1, environ=few) as running,
        running.client() as client,
    ):
        answers = [Node((running, client), tmp_path, uid=f"invented-{number}").enrol() for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert (answers[2].json()["code"], answers[2].json()["status"]) == ("new_nodes_quota", "error")
    assert answers[2].headers["retry-after"] == "1800"


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
