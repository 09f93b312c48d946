"""``fuel-stat nodes``: who reports, with which key, and what the operator decides about it."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
import typer

from fuel_stat.errors import OperatorError
from fuel_stat.state import read_state
from ingest_api.identity import clones, operator

nodes = typer.Typer(help="Nodes and their keys: list, show, approve, reset-key, code, block, unblock, flag.")
Uid = Annotated[str, typer.Argument(help="The node's uid (master_node_uid).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _connect() -> psycopg.Connection[Any]:
    dsn = os.environ.get("FUEL_STAT_COLLECTOR_ADMIN_DSN") or read_state().get("dsns", {}).get(
        "collector_admin"
    )
    if not dsn:
        sentence = (
            "The collector's database is not known: run `make up`, or set FUEL_STAT_COLLECTOR_ADMIN_DSN."
        )
        raise OperatorError("no_database", sentence)
    try:
        return psycopg.connect(dsn, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise OperatorError(
            "database_down", f"The collector's database does not answer: {error}".strip()
        ) from error


def _connect_to_read() -> psycopg.Connection[Any]:
    dsn = os.environ.get("FUEL_STAT_COLLECTOR_STANDBY_DSN")
    if not dsn:
        return _connect()
    try:
        return psycopg.connect(dsn, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise OperatorError("database_down", f"The standby does not answer: {error}".strip()) from error


@nodes.command("list")
def list_command(
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100, as_json: AsJson = False
) -> None:
    """Nodes in the order they were first heard of, with trust tier, key, pending keys and flags."""
    with _connect() as connection:
        rows = operator.list_nodes(connection, limit=limit)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], default=str))
        return
    for row in rows:
        marks = [f"T{row.tier}", row.key_id or "no key", f"last {row.last_contact or '-'}"]
        marks += [f"{row.pending} pending"] if row.pending else []
        marks += ["BLOCKED"] if row.blocked else []
        print(f"{row.uid}  {'  '.join(marks + row.flags)}")


@nodes.command("show")
def show_command(uid: Uid) -> None:
    """One node with all its keys and flags, as JSON."""
    with _connect() as connection:
        shown = operator.show_node(connection, uid)
    shown["node"] = dataclasses.asdict(shown["node"])
    print(json.dumps(shown, default=str, indent=2))


@nodes.command("approve")
def approve_command(
    uid: Uid,
    key: Annotated[str | None, typer.Option(help="Which pending key, when there are several.")] = None,
) -> None:
    """Bind a pending key to the node (tier 2); other pending keys are refused."""
    with _connect() as connection:
        key_id = operator.approve(connection, uid, key)
    print(f"{uid}: key {key_id} is active. Conflicts set aside before: fuel-stat quarantine replay")


@nodes.command("reset-key")
def reset_key_command(uid: Uid, hours: Annotated[int, typer.Option(help="The code's life.")] = 72) -> None:
    """Revoke all keys of the node and print a one-time code for its next one."""
    with _connect() as connection:
        operator.show_node(connection, uid)
        code = operator.reset_key(connection, uid, hours=hours)
    print(f"{uid}: keys revoked. One-time code, valid {hours} h: {code}")


@nodes.command("code")
def code_command(
    uid: Annotated[str | None, typer.Option(help="Only for this node.")] = None,
    hours: Annotated[int, typer.Option(help="The code's life.")] = 72,
) -> None:
    """Print a one-time enrolment code: who brings it is vouched for (tier 2)."""
    with _connect() as connection:
        print(operator.make_code(connection, uid, hours=hours))


@nodes.command("block")
def block_command(
    uid: Uid, reason: Annotated[str, typer.Option(help="Why.")] = "blocked by the operator"
) -> None:
    """Set aside all that this uid sends from now on."""
    with _connect() as connection:
        operator.block(connection, uid, reason)
    print(f"{uid} is blocked.")


@nodes.command("unblock")
def unblock_command(uid: Uid) -> None:
    """Let it report again."""
    with _connect() as connection:
        operator.unblock(connection, uid)
    print(f"{uid} may report again. What was set aside: fuel-stat quarantine replay")


@nodes.command("flag")
def flag_command(days: Annotated[int, typer.Option(help="How far to look back.")] = 30) -> None:
    """Look for cloned machines over the landings of the last days (read on the standby, where one is known).

    What is found is kept with the node. The DAG `watch_nodes` does it every day.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    with _connect_to_read() as connection:
        flags = list(clones.find_flags(connection, since))
    with _connect() as connection:
        clones.record_flags(connection, flags)
    for flag in flags:
        print(f"{flag.uid}  {flag.flag}: {flag.detail}")
    print(f"{len(flags)} flagged")
