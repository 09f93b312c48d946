"""Binding a key to a uid: on first use, by the old key, by a one-time code, or by the operator.

| the uid | the request brings | answer |
|---|---|---|
| blocked | anything | 403 ``node_blocked`` |
| any | a code that is wrong, used or expired | 403 ``bad_code`` |
| any | a valid code | 201, bound, T2 (an earlier key retires) |
| has this key already | | 200, unchanged |
| has another key | a signature by that key | 200, rotated, tier kept |
| has another key | nothing of it | 202, pending: the operator decides |
| never heard of | | 201, bound on first use, T1 |
| has reported unsigned | | 202, pending: it keeps reporting as T0 meanwhile |

Pending keys have no effect, so one who merely learned a uid cannot lock its owner out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import psycopg

from fuel_stat.identity import node_id
from ingest_api.identity.errors import IdentityError
from ingest_api.identity.keys import check_proof, decode_public_key, key_id
from ingest_api.identity.signatures import Message, verified_created

MAX_PENDING = 5

_BIND = (
    "insert into collector.node_key (node, uid, key_id, public_key, tier, state) values (%s, %s, %s, %s, %s, %s)"
    " on conflict (node, key_id) do update set state = excluded.state, tier = excluded.tier,"
    " changed_at = clock_timestamp()"
)
_RETIRE = (
    "update collector.node_key set state = 'retired', changed_at = clock_timestamp()"
    " where node = %s and state = 'active'"
)
_USE_CODE = (
    "update collector.enrolment_code set used_at = clock_timestamp(), used_by = %s where code_digest = %s"
    " and used_at is null and expires_at > clock_timestamp() and (uid is null or uid = %s) returning 1"
)
_FLAG_TWO_KEYS = (
    "insert into collector.node_flag (node, uid, flag, detail) values (%s, %s, 'two_keys', %s)"
    " on conflict (node, flag) do update set seen_count = node_flag.seen_count + 1,"
    " last_seen = clock_timestamp(), detail = excluded.detail"
)


@dataclass(frozen=True)
class Enrolment:
    """A parsed request: the raw public key (32 bytes), already proven to be held by the sender."""

    uid: str
    public_key: bytes
    code: str | None

    @property
    def key_id(self) -> str:
        return key_id(self.public_key)


@dataclass(frozen=True)
class Outcome:
    """What happened: HTTP status, state ``active`` or ``pending``, the tier that the node has now."""

    status: int
    state: str
    tier: int


def parse_enrolment(document: Any) -> Enrolment:
    """Read the body ``{"master_node_uid", "public_key", "proof", "code"?}`` and check the proof.

    Raises:
        IdentityError: 400 ``bad_enrolment`` or ``bad_public_key``, 403 ``bad_proof``.
    """
    if not isinstance(document, dict):
        raise IdentityError(400, "bad_enrolment", "The body must be a JSON object.")
    texts = [document.get(name) for name in ("master_node_uid", "public_key", "proof")]
    code = document.get("code")
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(code, str | None):
        sentence = "master_node_uid, public_key and proof are required strings; code is a string."
        raise IdentityError(400, "bad_enrolment", sentence)
    uid, public_key_text, proof = (str(text) for text in texts)
    if len(uid) > 255 or "\x00" in uid or not uid.isprintable():
        raise IdentityError(400, "bad_enrolment", "master_node_uid is not a uid.")
    public_key = decode_public_key(public_key_text)
    check_proof(uid, public_key, proof)
    return Enrolment(uid, public_key, code)


def enrol(connection: psycopg.Connection[Any], wanted: Enrolment, message: Message, body: bytes) -> Outcome:
    """Decide by the table above, in one transaction; two that race for one uid get one 201 and one 202.

    Raises:
        IdentityError: 403 ``node_blocked``, ``bad_code`` or ``revoked_key``, 429 ``too_many_pending``.
    """
    node = node_id(wanted.uid)
    with connection.transaction():
        # All enrolments of one uid queue here, so that what is read below cannot change before it is written.
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 15))", (str(node),))
        if connection.execute("select 1 from collector.node_block where node = %s", (node,)).fetchone():
            raise IdentityError(403, "node_blocked", "This node was blocked by the operator.")
        return _decide(connection, wanted, message, body)


def _decide(connection: psycopg.Connection[Any], wanted: Enrolment, message: Message, body: bytes) -> Outcome:
    node = node_id(wanted.uid)
    rows = connection.execute(
        "select key_id, public_key, tier, state from collector.node_key where node = %s", (node,)
    ).fetchall()
    states = {row[0]: row[3] for row in rows}
    active = next((row for row in rows if row[3] == "active"), None)
    if states.get(wanted.key_id) == "revoked":
        raise IdentityError(403, "revoked_key", "This key was revoked: make a new one.")
    if wanted.code is not None:
        _use_code(connection, wanted)
        return _bind(connection, wanted, 201, 2)
    if active and active[0] == wanted.key_id:
        return Outcome(200, "active", active[2])
    if active:
        if verified_created(message, body, bytes(active[1])) is not None:
            return _bind(connection, wanted, 200, active[2])
        return _wait(connection, wanted, states, active[2])
    if rows or _has_reported(connection, wanted.uid):
        return _wait(connection, wanted, states, 0)
    return _bind(connection, wanted, 201, 1)


def _use_code(connection: psycopg.Connection[Any], wanted: Enrolment) -> None:
    digest = hashlib.sha256((wanted.code or "").encode("utf-8")).digest()
    used = connection.execute(_USE_CODE, (wanted.uid, digest, wanted.uid)).fetchone()
    if used is None:
        raise IdentityError(403, "bad_code", "The code is unknown, used, expired or for another node.")


def _bind(connection: psycopg.Connection[Any], wanted: Enrolment, status: int, tier: int) -> Outcome:
    node = node_id(wanted.uid)
    connection.execute(_RETIRE, (node,))
    connection.execute(_BIND, (node, wanted.uid, wanted.key_id, wanted.public_key, tier, "active"))
    return Outcome(status, "active", tier)


def _wait(
    connection: psycopg.Connection[Any], wanted: Enrolment, states: dict[str, str], tier: int
) -> Outcome:
    node = node_id(wanted.uid)
    if states.get(wanted.key_id) != "pending":
        if sum(state == "pending" for state in states.values()) >= MAX_PENDING:
            raise IdentityError(429, "too_many_pending", "Too many keys wait for a decision about this node.")
        connection.execute(_BIND, (node, wanted.uid, wanted.key_id, wanted.public_key, 2, "pending"))
    if "active" in states.values() or len(states) > 0:
        detail = f"key {wanted.key_id} asks to speak for a node that another key speaks or asks for"
        connection.execute(_FLAG_TWO_KEYS, (node, wanted.uid, detail))
    return Outcome(202, "pending", tier)


def _has_reported(connection: psycopg.Connection[Any], uid: str) -> bool:
    row = connection.execute("select 1 from collector.node where node = %s", (node_id(uid),)).fetchone()
    return row is not None
