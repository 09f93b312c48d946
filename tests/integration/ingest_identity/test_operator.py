"""The operator's commands and the search for cloned machines, on a real database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import orjson
import psycopg
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from fuel_stat.identity import node_id
from ingest_api.identity.clones import find_flags, record_flags
from ingest_api.identity.enrolment import Enrolment, enrol
from ingest_api.identity.keys import key_id
from ingest_api.identity.signatures import Message
from ingest_api.nodes_cli import nodes
from warehouse.node_watch import NodeWatchError, flag_clones

RUN = CliRunner()


@pytest.fixture
def admin(collector_pair, monkeypatch):
    """A connection of the operator's role; the commands use the same database."""
    monkeypatch.setenv("FUEL_STAT_COLLECTOR_ADMIN_DSN", collector_pair.dsn("fuel_admin"))
    with psycopg.connect(collector_pair.dsn("fuel_admin"), autocommit=True) as connection:
        yield connection


def land(connection, uid: str, kind: str, document, at: datetime, taken=None) -> None:
    """A landing as the collector writes it."""
    raw = orjson.dumps(document)
    connection.execute("select collector.ensure_partitions(%s, %s)", (at.date(), at.date()))
    connection.execute(
        "insert into collector.landing (received_at, node, uid, kind, records, taken, payload_bytes, payload)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            at,
            node_id(uid),
            uid,
            kind,
            len(document) if isinstance(document, list) else 1,
            taken,
            len(raw),
            zstandard.compress(raw),
        ),
    )


def test_alternating_structures_and_ids_that_go_back_are_flagged_once(admin):
    """A cloned node is flagged with a counter; a node that only moves on is not."""
    start = datetime.now(UTC) - timedelta(days=5)
    for number in range(6):
        land(admin, "clone", "installation_structure", {"v": number % 2}, start + timedelta(hours=number))
        land(admin, "honest", "installation_structure", {"v": number}, start + timedelta(hours=number))
    high = [{"external_id": number} for number in range(1000, 1100)]
    low = [{"external_id": number} for number in range(100)]
    land(admin, "clone", "action_logs", high, start)
    land(admin, "clone", "action_logs", low, start + timedelta(days=2), taken=list(range(30)))
    land(admin, "honest", "action_logs", low, start)
    land(admin, "honest", "action_logs", {"action_logs": high}, start + timedelta(days=2))
    for _ in range(2):
        with admin.transaction():
            record_flags(admin, list(find_flags(admin, start - timedelta(days=1))))
    rows = admin.execute("select uid, flag, seen_count from collector.node_flag order by flag").fetchall()
    assert rows == [("clone", "alternating_structures", 2), ("clone", "ids_go_back", 2)]


def test_the_daily_look_reads_the_standby_and_flags_on_the_primary(admin, collector_pair):
    """What the DAG calls: the finding is with the node afterwards; a database that is away is an error that says so."""
    start = datetime.now(UTC) - timedelta(days=2)
    for number in range(6):
        land(admin, "clone", "installation_structure", {"v": number % 2}, start + timedelta(hours=number))
    collector_pair.wait_replayed()
    standby = collector_pair.dsn("fuel_extract", standby=True)
    lines = flag_clones(collector_pair.dsn("fuel_admin"), standby, days=3)
    assert lines[-1] == "1 flagged"
    assert admin.execute("select uid, flag from collector.node_flag").fetchall() == [
        ("clone", "alternating_structures")
    ]
    with pytest.raises(NodeWatchError, match="does not answer"):
        flag_clones(collector_pair.dsn("fuel_admin"), "postgresql://127.0.0.1:1/none", days=3)


def test_the_list_shows_nodes_with_their_trust(admin):
    """A node that reported stands in the list as T0 without a key."""
    admin.execute("insert into collector.node (node, uid) values (%s, 'n-1')", (node_id("n-1"),))
    done = RUN.invoke(nodes, ["list", "--json"])
    assert [(row["uid"], row["tier"], row["key_id"]) for row in json.loads(done.stdout)] == [("n-1", 0, None)]


def test_block_and_unblock_from_the_command_line(admin):
    """Blocking is seen in the list and undone by unblock."""
    admin.execute("insert into collector.node (node, uid) values (%s, 'n-1')", (node_id("n-1"),))
    assert RUN.invoke(nodes, ["block", "n-1", "--reason", "floods"]).exit_code == 0
    assert "BLOCKED" in RUN.invoke(nodes, ["list"]).stdout
    assert RUN.invoke(nodes, ["unblock", "n-1"]).exit_code == 0
    assert "BLOCKED" not in RUN.invoke(nodes, ["list"]).stdout


def test_approve_and_code_from_the_command_line(admin, collector_pair):
    """A waiting key is bound by approve, also by its name; a code that `code` prints binds the next one."""
    admin.execute("insert into collector.node (node, uid) values (%s, 'n-1')", (node_id("n-1"),))
    keys = [Ed25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(3)]
    nothing = Message("POST", "http://x/api/v1/enrol", {})
    with psycopg.connect(collector_pair.dsn("fuel_ingest"), autocommit=True) as ingest:
        for key in keys[:2]:
            assert enrol(ingest, Enrolment("n-1", key, None), nothing, b"").state == "pending"
        ambiguous = RUN.invoke(nodes, ["approve", "n-1"])
        assert getattr(ambiguous.exception, "code", "") == "ambiguous_key"
        assert RUN.invoke(nodes, ["approve", "n-1", "--key", key_id(keys[1])]).exit_code == 0
        assert json.loads(RUN.invoke(nodes, ["list", "--json"]).stdout)[0]["key_id"] == key_id(keys[1])
        code = RUN.invoke(nodes, ["code", "--uid", "n-1"]).stdout.strip()
        assert enrol(ingest, Enrolment("n-1", keys[2], code), nothing, b"").tier == 2
    shown = json.loads(RUN.invoke(nodes, ["show", "n-1"]).stdout)
    assert {key["key_id"]: key["state"] for key in shown["keys"]} == {
        key_id(keys[0]): "revoked",
        key_id(keys[1]): "retired",
        key_id(keys[2]): "active",
    }


def test_an_unknown_node_is_an_operators_error(admin):
    """Asking for a node nobody heard of ends with a code, not with an empty page."""
    done = RUN.invoke(nodes, ["show", "nobody"])
    assert done.exit_code != 0
    assert getattr(done.exception, "code", "") == "unknown_node"
