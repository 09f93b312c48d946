"""What the operator decides about nodes: approve, reset, block, one-time codes. Runs with the admin role."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from fuel_stat.errors import OperatorError
from fuel_stat.identity import node_id

CODE_HOURS = 72

_LIST = """
select
    n.uid,
    coalesce(a.tier, 0)::int as tier,
    a.key_id,
    (select count(*) from collector.node_key as p where p.node = n.node and p.state = 'pending')::int as pending,
    b.node is not null as blocked,
    n.first_seen,
    (select max(c.day) from collector.contact as c where c.node = n.node) as last_contact,
    coalesce(
        (select array_agg(f.flag order by f.flag) from collector.node_flag as f where f.node = n.node), '{}'
    ) as flags
from (
    select node, uid, first_seen from collector.node
    union
    select k.node, k.uid, min(k.enrolled_at) from collector.node_key as k
    where not exists (select 1 from collector.node as known where known.node = k.node)
    group by k.node, k.uid
) as n
left join collector.node_key as a on n.node = a.node and a.state = 'active'
left join collector.node_block as b on n.node = b.node
where %(uid)s::text is null or n.uid = %(uid)s
order by n.first_seen, n.uid
limit %(limit)s
"""
_KEYS = (
    "select key_id, state, tier, enrolled_at, changed_at from collector.node_key"
    " where node = %s order by enrolled_at"
)
_FLAGS = "select flag, detail, seen_count, first_seen, last_seen from collector.node_flag where node = %s order by flag"


@dataclass(frozen=True)
class NodeRow:
    """A node as the list shows it; times with zone, ``last_contact`` a UTC receive day."""

    uid: str
    tier: int
    key_id: str | None
    pending: int
    blocked: bool
    first_seen: datetime
    last_contact: Any
    flags: list[str]


def list_nodes(
    connection: psycopg.Connection[Any], *, uid: str | None = None, limit: int = 100
) -> list[NodeRow]:
    """Nodes in the order they were first heard of."""
    with connection.cursor(row_factory=class_row(NodeRow)) as cursor:
        return cursor.execute(_LIST, {"uid": uid, "limit": limit}).fetchall()


def show_node(connection: psycopg.Connection[Any], uid: str) -> dict[str, Any]:
    """One node with its keys and flags.

    Raises:
        OperatorError: ``unknown_node``.
    """
    rows = list_nodes(connection, uid=uid)
    if not rows:
        raise OperatorError("unknown_node", f"No node {uid!r} has reported or asked to enrol.")
    return {
        "node": rows[0],
        "keys": list(_dicts(connection, _KEYS, uid)),
        "flags": list(_dicts(connection, _FLAGS, uid)),
    }


def approve(connection: psycopg.Connection[Any], uid: str, key_id: str | None = None) -> str:
    """Bind a pending key (the only one, or the one named) as T2; other pending ones are refused. Returns its id.

    Raises:
        OperatorError: ``nothing_pending``, ``ambiguous_key`` or ``unknown_key``.
    """
    node = node_id(uid)
    with connection.transaction():
        rows = connection.execute(
            "select key_id from collector.node_key where node = %s and state = 'pending' for update", (node,)
        ).fetchall()
        pending = [row[0] for row in rows]
        chosen = _choose(uid, pending, key_id)
        connection.execute(_SET_STATE, ("retired", node, "active", None))
        connection.execute(
            "update collector.node_key set state = 'active', tier = 2, changed_at = clock_timestamp()"
            " where node = %s and key_id = %s",
            (node, chosen),
        )
        connection.execute(_SET_STATE, ("revoked", node, "pending", None))
    return chosen


_SET_STATE = (
    "update collector.node_key set state = %s, changed_at = clock_timestamp()"
    " where node = %s and state = %s and key_id is distinct from %s"
)


def _choose(uid: str, pending: list[str], key_id: str | None) -> str:
    if not pending:
        raise OperatorError("nothing_pending", f"No key of {uid} waits for a decision.")
    if key_id is None and len(pending) > 1:
        shown = ", ".join(pending)
        raise OperatorError("ambiguous_key", f"Several keys of {uid} wait: name one with --key ({shown}).")
    if key_id is not None and key_id not in pending:
        raise OperatorError("unknown_key", f"No key {key_id} of {uid} waits for a decision.")
    return key_id or pending[0]


def reset_key(connection: psycopg.Connection[Any], uid: str, *, hours: int = CODE_HOURS) -> str:
    """Revoke every key of a node (lost or stolen) and give a one-time code for its next one.

    What the revoked key still signs is set aside; unsigned reports count as T0 until the code is used.
    """
    node = node_id(uid)
    with connection.transaction():
        connection.execute(
            "update collector.node_key set state = 'revoked', changed_at = clock_timestamp() where node = %s",
            (node,),
        )
        return make_code(connection, uid, hours=hours)


def make_code(connection: psycopg.Connection[Any], uid: str | None, *, hours: int = CODE_HOURS) -> str:
    """A one-time enrolment code (128 random bits) for one node, or for any when ``uid`` is None.

    Only its digest is stored: whoever reads the database cannot enrol with it.
    """
    code = secrets.token_urlsafe(16)
    connection.execute(
        "insert into collector.enrolment_code (code_digest, uid, expires_at)"
        " values (%s, %s, clock_timestamp() + make_interval(hours => %s))",
        (hashlib.sha256(code.encode()).digest(), uid, hours),
    )
    return code


def block(connection: psycopg.Connection[Any], uid: str, reason: str) -> None:
    """Set aside all that this uid sends from now on (answered like a success, kept in quarantine)."""
    connection.execute(
        "insert into collector.node_block (node, uid, reason) values (%s, %s, %s)"
        " on conflict (node) do update set reason = excluded.reason",
        (node_id(uid), uid, reason),
    )


def unblock(connection: psycopg.Connection[Any], uid: str) -> None:
    """Let it report again.

    Raises:
        OperatorError: ``not_blocked``.
    """
    done = connection.execute("delete from collector.node_block where node = %s", (node_id(uid),))
    if done.rowcount == 0:
        raise OperatorError("not_blocked", f"{uid} is not blocked.")


def _dicts(connection: psycopg.Connection[Any], query: str, uid: str) -> Iterator[dict[str, Any]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        yield from cursor.execute(query, (node_id(uid),))
