"""The verdict on a request: for each uid in it, which trust tier its records have, or why they are set aside.

| the uid | the request | verdict |
|---|---|---|
| blocked | any | set aside, ``node_blocked`` |
| has no key | unsigned, or signed by a key not bound to it | T0 |
| has a key | signed by it, clock within bounds | the key's tier |
| has a key | signed by it, clock out of bounds | 401 ``clock_skew`` (with our time; the node corrects and repeats) |
| has a key | signed by it, carried in a bundle | the key's tier, whatever the age |
| has a key | signed by it, older than the last structure it signed | 401 ``replayed`` for structures |
| has a key | unsigned, broken or foreign signature | set aside, ``identity_conflict`` |
| had a key that was revoked | signed by that key | set aside, ``revoked_key`` |

What is set aside is answered like a success, because a refusal makes old senders loop, and kept in quarantine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from fuel_stat.identity import node_id
from ingest_api.authentication import RequestFacts
from ingest_api.identity.directory import BoundKey, Directory, Known
from ingest_api.identity.errors import IdentityError
from ingest_api.identity.signatures import Message, claimed_key_id, is_signed, verified_created
from ingest_api.intake import Verdict

MAX_SKEW_SECONDS = 300
_ADVANCE = (
    "update collector.node_key set last_created = %s"
    " where node = %s and key_id = %s and last_created <= %s returning 1"
)


_LEGACY = Verdict(0)


def judge(
    directory: Directory, connection: Any, facts: RequestFacts, uids: Iterable[str]
) -> dict[str, Verdict]:
    """The verdict for each uid.

    Raises:
        IdentityError: 401 ``clock_skew`` or ``replayed``, only for requests validly signed by a bound key.
    """
    known = directory.known(connection)
    if known.is_empty:
        return dict.fromkeys(uids, _LEGACY)
    signing = _signing_keys(known, facts)
    return {uid: _judge_one(connection, known, signing, facts, node_id(uid)) for uid in uids}


def _signing_keys(known: Known, facts: RequestFacts) -> dict[UUID, tuple[BoundKey, int]]:
    """The bound or revoked keys that really signed this request, with the time they say, by node."""
    if not is_signed(facts.headers):
        return {}
    candidates = known.by_id.get(claimed_key_id(facts.headers) or "", ())
    message = Message(facts.method.upper(), facts.url, facts.headers)
    signed: dict[UUID, tuple[BoundKey, int]] = {}
    for key in candidates:
        created = verified_created(message, facts.body, key.public_key)
        if created is not None:
            signed[key.node] = (key, created)
    return signed


def _judge_one(
    connection: Any,
    known: Known,
    signing: Mapping[UUID, tuple[BoundKey, int]],
    facts: RequestFacts,
    node: UUID,
) -> Verdict:
    if node in known.blocked:
        return Verdict(0, True, "node_blocked")
    active = known.active.get(node)
    signed = signing.get(node)
    if signed and signed[0].revoked:
        return Verdict(0, True, "revoked_key")
    if active is None:
        return _LEGACY
    if signed is None or signed[0].key_id != active.key_id:
        return Verdict(0, True, "identity_conflict")
    _check_time(connection, active, signed[1], facts)
    return Verdict(active.tier)


def _check_time(connection: Any, key: BoundKey, created: int, facts: RequestFacts) -> None:
    now = int(time.time())
    if facts.carried:
        # A clock that ran ahead when the bundle was written must not make the node's next structure look old.
        created = min(created, now)
    elif abs(created - now) > MAX_SKEW_SECONDS:
        sentence = f"The signature says {created}, here it is {now}: sign again with this time."
        raise IdentityError(401, "clock_skew", sentence)
    # A record sent again is known by its key; an old structure sent again would count as a change.
    if facts.ordered:
        done = connection.execute(_ADVANCE, (created, key.node, key.key_id, created)).fetchone()
        if done is None:
            raise IdentityError(401, "replayed", "A newer structure was signed by this key already.")
