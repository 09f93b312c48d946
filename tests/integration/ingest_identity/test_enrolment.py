"""Binding keys to uids, with the database deciding races."""

from __future__ import annotations

import base64
import functools
import hashlib
import threading
import time

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fuel_stat.errors import OperatorError
from fuel_stat.identity import node_id
from ingest_api.authentication import RequestFacts
from ingest_api.identity import Directory, IdentityError, judge, operator
from ingest_api.identity.enrolment import MAX_PENDING, Enrolment, enrol
from ingest_api.identity.keys import key_id
from ingest_api.identity.signatures import COVERED, TAG, Message, signer

URL = "http://127.0.0.1/api/v1/enrol"
REPORT = "http://127.0.0.1/api/v1/installation_structure/"
BODY = b"{}"


class Node:
    """A node with a key."""

    def __init__(self, uid: str = "node-1") -> None:
        self.uid = uid
        self.private = Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        return key_id(self.public)

    def sign(self, url: str, created: float | None = None) -> Message:
        message = Message("POST", url, {})
        from datetime import UTC, datetime

        at = datetime.fromtimestamp(created if created is not None else time.time(), UTC)
        signer(self.private).sign(
            message, key_id=self.key_id, created=at, covered_component_ids=COVERED, tag=TAG, body=BODY
        )
        return message

    def facts(self, created: float | None = None, *, ordered: bool = False) -> RequestFacts:
        message = self.sign(REPORT, created)
        return RequestFacts("POST", REPORT, message.headers, BODY, ordered)

    def enrol(self, connection, code: str | None = None, by: Node | None = None):
        message = by.sign(URL) if by else Message("POST", URL, {})
        return enrol(connection, Enrolment(self.uid, self.public, code), message, BODY)


UNSIGNED = RequestFacts("POST", REPORT, {}, BODY)


@pytest.fixture
def ingest(collector_pair):
    """A connection of the collector's role."""
    with psycopg.connect(collector_pair.dsn("fuel_ingest"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def admin(collector_pair):
    """A connection of the operator's role."""
    with psycopg.connect(collector_pair.dsn("fuel_admin"), autocommit=True) as connection:
        yield connection


def verdict(connection, facts, uid="node-1"):
    """The verdict of a worker that has just started."""
    return judge(Directory(), connection, facts, [uid])[uid]


def has_reported(connection, uid="node-1"):
    """Give the uid an unsigned history."""
    connection.execute("insert into collector.node (node, uid) values (%s, %s)", (node_id(uid), uid))


def test_a_new_node_is_bound_on_first_use(ingest):
    """An unknown uid is bound at once (T1); its signed reports count as T1, unsigned ones are set aside."""
    node = Node()
    assert node.enrol(ingest).status == 201
    assert verdict(ingest, node.facts()).tier == 1
    assert verdict(ingest, UNSIGNED).reason_code == "identity_conflict"
    assert verdict(ingest, Node().facts()).reason_code == "identity_conflict"
    assert node.enrol(ingest).status == 200


def test_an_outsider_cannot_lock_out_a_node_that_reported_unsigned(ingest, admin):
    """A key for a uid with history only waits: the owner's unsigned reports stay T0 until the operator decides."""
    has_reported(ingest)
    outsider, owner = Node(), Node()
    assert outsider.enrol(ingest).status == 202
    assert owner.enrol(ingest).status == 202
    assert verdict(ingest, UNSIGNED).tier == 0
    assert not verdict(ingest, UNSIGNED).conflict
    assert not verdict(ingest, outsider.facts()).conflict
    with pytest.raises(OperatorError, match="Several keys"):
        operator.approve(admin, "node-1")
    operator.approve(admin, "node-1", owner.key_id)
    assert verdict(ingest, owner.facts()).tier == 2
    assert verdict(ingest, outsider.facts()).conflict
    assert operator.show_node(admin, "node-1")["node"].flags == ["two_keys"]


def test_a_code_binds_at_once_and_only_once(ingest, admin):
    """A one-time code makes T2 even with unsigned history; used, expired, foreign or invented ones are refused."""
    has_reported(ingest)
    code = operator.make_code(admin, "node-1")
    node = Node()
    assert (node.enrol(ingest, code).status, verdict(ingest, node.facts()).tier) == (201, 2)
    foreign = operator.make_code(admin, "node-2")
    expired = operator.make_code(admin, "node-1", hours=0)
    for bad in (code, foreign, expired, "invented"):
        with pytest.raises(IdentityError) as caught:
            Node().enrol(ingest, bad)
        assert (caught.value.status, caught.value.code) == (403, "bad_code")


def test_codes_are_kept_as_digests_only(ingest, admin):
    """Whoever reads the database cannot enrol with what stands there."""
    code = operator.make_code(admin, None)
    rows = admin.execute("select code_digest from collector.enrolment_code").fetchall()
    assert [bytes(row[0]) for row in rows] == [hashlib.sha256(code.encode()).digest()]


def test_the_old_key_rotates_to_a_new_one(ingest):
    """Signed by the old key the new one is bound with the same tier; the old one is then foreign."""
    old, new = Node(), Node()
    old.enrol(ingest)
    assert new.enrol(ingest).status == 202
    outcome = new.enrol(ingest, by=old)
    assert (outcome.status, outcome.tier) == (200, 1)
    assert verdict(ingest, new.facts()).tier == 1
    assert verdict(ingest, old.facts()).conflict


def test_a_stolen_key_is_revoked_and_the_owner_recovers(ingest, admin):
    """After reset-key the thief's reports are set aside, unsigned ones are T0 again, and the code binds the new key."""
    stolen = Node()
    stolen.enrol(ingest)
    code = operator.reset_key(admin, "node-1")
    assert verdict(ingest, stolen.facts()).reason_code == "revoked_key"
    assert verdict(ingest, UNSIGNED).tier == 0
    with pytest.raises(IdentityError, match="revoked"):
        stolen.enrol(ingest)
    owner = Node()
    assert owner.enrol(ingest, code).status == 201
    assert verdict(ingest, owner.facts()).tier == 2


def test_a_clock_that_is_off_is_told_so(ingest):
    """A valid signature from another time gets 401 clock_skew with our time; nothing is set aside."""
    node = Node()
    node.enrol(ingest)
    for skew in (-3600, 3600):
        with pytest.raises(IdentityError) as caught:
            verdict(ingest, node.facts(time.time() + skew))
        assert (caught.value.status, caught.value.code) == (401, "clock_skew")


def test_a_replayed_structure_is_refused(ingest):
    """A structure captured and sent again after a newer one does not become the latest."""
    node = Node()
    node.enrol(ingest)
    now = time.time()
    assert verdict(ingest, node.facts(now - 60, ordered=True)).tier == 1
    assert verdict(ingest, node.facts(now, ordered=True)).tier == 1
    with pytest.raises(IdentityError) as caught:
        verdict(ingest, node.facts(now - 60, ordered=True))
    assert caught.value.code == "replayed"


def test_a_blocked_node_is_set_aside_and_comes_back(ingest, admin):
    """Blocking sets aside whatever the uid sends and refuses enrolment; unblocking ends both."""
    operator.block(admin, "node-1", "floods")
    assert verdict(ingest, UNSIGNED).reason_code == "node_blocked"
    with pytest.raises(IdentityError, match="blocked"):
        Node().enrol(ingest)
    operator.unblock(admin, "node-1")
    assert not verdict(ingest, UNSIGNED).conflict
    with pytest.raises(OperatorError, match="not blocked"):
        operator.unblock(admin, "node-1")


def test_pending_keys_are_bounded(ingest):
    """An outsider cannot fill the table with keys for a uid; a code would still get the owner in."""
    has_reported(ingest)
    for _ in range(MAX_PENDING):
        assert Node().enrol(ingest).status == 202
    with pytest.raises(IdentityError) as caught:
        Node().enrol(ingest)
    assert (caught.value.status, caught.value.code) == (429, "too_many_pending")


def test_of_two_that_race_for_a_new_uid_one_is_bound(collector_pair):
    """Concurrent first enrolments: exactly one 201, the others wait for the operator."""
    statuses: list[int] = []
    barrier = threading.Barrier(4)

    def race() -> None:
        with psycopg.connect(collector_pair.dsn("fuel_ingest"), autocommit=True) as connection:
            barrier.wait()
            statuses.append(Node().enrol(connection).status)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 202, 202, 202]


def race(collector_pair, attempts):
    """Statuses and error codes of attempts (each takes a connection) that begin at the same moment, sorted."""
    outcomes: list[str] = []
    barrier = threading.Barrier(len(attempts))

    def run(attempt) -> None:
        with psycopg.connect(collector_pair.dsn("fuel_ingest"), autocommit=True) as connection:
            barrier.wait()
            try:
                outcomes.append(str(attempt(connection).status))
            except IdentityError as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_a_code_that_several_use_at_once_binds_one_of_them(collector_pair, admin):
    """Different nodes with one code at the same moment: one is bound, the others are told that it is used."""
    code = operator.make_code(admin, None)
    nodes = [Node(f"node-{number}") for number in range(4)]
    attempts = [functools.partial(node.enrol, code=code) for node in nodes]
    assert race(collector_pair, attempts) == ["201", "bad_code", "bad_code", "bad_code"]


def test_of_two_rotations_by_one_old_key_one_wins(collector_pair, ingest):
    """Signed by the same old key at the same moment: the first binds, the other then waits for the operator."""
    old = Node()
    old.enrol(ingest)
    attempts = [functools.partial(Node().enrol, by=old) for _ in range(3)]
    assert race(collector_pair, attempts) == ["200", "202", "202"]
    rows = ingest.execute("select count(*) from collector.node_key where state = 'active'").fetchone()
    assert rows == (1,)


def test_a_rotation_that_was_recorded_is_worth_nothing_later(ingest):
    """The request that brought in the second key, sent again after the third, only waits."""
    first, second, third = Node(), Node(), Node()
    first.enrol(ingest)
    recorded = first.sign(URL)
    wanted = Enrolment("node-1", second.public, None)
    assert enrol(ingest, wanted, recorded, BODY).status == 200
    assert third.enrol(ingest, by=second).status == 200
    assert enrol(ingest, wanted, recorded, BODY).status == 202
    assert verdict(ingest, third.facts()).tier == 1
    assert verdict(ingest, second.facts()).conflict


def test_a_worker_learns_of_changes_made_elsewhere(ingest, admin):
    """A cached directory sees a block within its maximal age, without asking on each request."""
    directory = Directory(max_age_seconds=0.05)
    assert not judge(directory, ingest, UNSIGNED, ["node-1"])["node-1"].conflict
    operator.block(admin, "node-1", "floods")
    time.sleep(0.06)
    assert judge(directory, ingest, UNSIGNED, ["node-1"])["node-1"].conflict


def test_the_proof_key_is_base64_of_the_raw_key():
    """The key id is derived from the raw key, so both sides compute the same."""
    node = Node()
    digest = hashlib.sha256(node.public).digest()[:16]
    assert base64.urlsafe_b64decode(node.key_id + "==") == digest
