"""A node without a network: its bundle is carried to the collector, imported there, and its answers carried back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import psycopg
import pytest
from nailgun_sender.consent import Receipts
from nailgun_sender.messenger import Cycle, MessengerSettings, bundle
from nailgun_sender.messenger.enrolment import FACT
from nailgun_sender.messenger.signing import Key
from typer.testing import CliRunner

from ingest_api.bundle_cli import import_bundle
from tests.integration.messenger.conftest import add_actions, unsent

UID = "carried-node"
STRUCTURE = {
    "clusters_num": 1,
    "allocated_nodes_num": 0,
    "unallocated_nodes_num": 1,
    "clusters": [
        {
            "id": 1,
            "nodes_num": 0,
            "nodes": [],
            "mode": "ha_compact",
            "release": {"version": "newton-10.0", "os": "Ubuntu", "name": "Newton"},
            "status": "new",
            "attributes": {"libvirt_type": "kvm"},
        }
    ],
}


class Host:
    """Describes itself."""

    def structure(self):
        """One empty cluster."""
        return STRUCTURE


@pytest.fixture
def node(store, tmp_path):
    """A cycle of a node with twelve actions, whose operator agreed."""
    add_actions(store, 12)
    Receipts(store).agree(["actions", "configuration"], who="op", via="test", include_past=True)
    settings = MessengerSettings(node_uid=UID, batch_records=5, key_file=str(tmp_path / "node.key"))
    return Cycle(store, settings, Host(), environ={})


@pytest.fixture
def bring(collector_pair, monkeypatch):
    """`fuel-stat import-bundle`, over a real collector's database."""
    import typer

    app = typer.Typer()
    app.command()(import_bundle)
    monkeypatch.setenv("FUEL_STAT_COLLECTOR_ADMIN_DSN", collector_pair.dsn("fuel_admin"))

    def run(*arguments: object):
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return run


def counted(pair, query: str) -> int:
    """One number of the collector's database."""
    with psycopg.connect(pair.dsn("fuel_admin")) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0] or 0)


LANDED = "select sum(coalesce(cardinality(taken), records)) from collector.landing where kind = 'action_logs'"
QUARANTINED = "select count(*) from collector.quarantine"


def exported(node, tmp_path) -> Path:
    """The node's bundle."""
    path = tmp_path / "node.bundle"
    bundle.export(node, path)
    return path


def rewritten(path: Path, change) -> Path:
    """The same bundle with its lines changed."""
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    changed = path.with_suffix(".changed")
    changed.write_bytes(gzip.compress("".join(json.dumps(each) + "\n" for each in change(lines)).encode()))
    return changed


def test_a_bundle_lands_once_and_its_answers_settle_the_node(node, store, bring, collector_pair, tmp_path):
    """All records land like those of HTTP; the second import adds nothing; the answers mark them at home."""
    path, answers = exported(node, tmp_path), tmp_path / "answers"
    first = bring(path, "--answers", answers, "--json")
    assert first.exit_code == 0, first.output
    (report,) = json.loads(first.output)
    assert (report["uid"], report["requests"], report["counts"]) == (UID, 4, {"added": 13})
    again = bring(path, "--json")
    assert json.loads(again.output)[0]["counts"] == {"existed": 12, "updated": 1}
    assert counted(collector_pair, LANDED) == 12
    assert counted(collector_pair, "select count(*) from collector.landing where kind <> 'action_logs'") == 1
    assert len(unsent(store)) == 12
    assert bundle.settle(node, path, answers) == {"sent": 12, "park": 0, "keep": 0}
    assert unsent(store) == []
    assert list(node.parcels(node.permission())) == []


def test_a_bad_record_is_kept_in_quarantine_and_parked_at_home(node, store, bring, collector_pair, tmp_path):
    """A record that fails its schema is set aside with its reason, its neighbours land, the node parks it."""
    with store.write() as connection:
        connection.execute(
            store.tables.actions.update().where(store.tables.actions.c.id == 3).values(action_type="x")
        )
    path, answers = exported(node, tmp_path), tmp_path / "answers"
    done = bring(path, "--answers", answers)
    assert done.exit_code == 1
    assert "1 failed" in done.output
    assert (counted(collector_pair, LANDED), counted(collector_pair, QUARANTINED)) == (11, 1)
    assert bundle.settle(node, path, answers) == {"sent": 11, "park": 1, "keep": 0}
    assert unsent(store) == [3]


def test_what_should_not_have_been_exported_is_redacted(node, bring, collector_pair, tmp_path):
    """A secret in a bundle does not reach the database: the collector's redaction holds for bundles too."""
    path = exported(node, tmp_path)

    def leak(lines):
        import hashlib

        for line in lines[1:]:
            line["body"] = line["body"].replace('"http_method":"PUT"', '"password":"hunter2-canary"')
            line["digest"] = hashlib.sha256(line["body"].encode()).hexdigest()
        return lines

    done = bring(rewritten(path, leak))
    assert "values removed" in done.output
    with psycopg.connect(collector_pair.dsn("fuel_admin")) as connection:
        import zstandard

        payloads = connection.execute("select payload from collector.landing").fetchall()
    texts = [zstandard.ZstdDecompressor().decompress(payload) for (payload,) in payloads]
    assert len(texts) == 4
    assert not any(b"hunter2" in text for text in texts)


@pytest.mark.parametrize("how", ["changed", "cut", "no head", "newer", "not gzip"])
def test_a_damaged_bundle_is_refused_whole(node, bring, collector_pair, tmp_path, how):
    """A changed body, a cut file, a foreign or newer file: one sentence, and not one record of it lands."""
    path = exported(node, tmp_path)
    if how == "cut":
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) * 2 // 3])
    elif how == "not gzip":
        path.write_text("hello")
    else:

        def change(lines):
            if how == "no head":
                return lines[1:]
            if how == "newer":
                return [{**lines[0], "version": 2}, *lines[1:]]
            lines[-1]["body"] = lines[-1]["body"].replace("deploy_changes", "delete_changes")
            return lines

        path = rewritten(path, change)
    done = bring(path)
    assert done.exception is not None
    assert getattr(done.exception, "code", "") in ("bundle_damaged", "not_a_bundle", "newer_bundle")
    assert counted(collector_pair, "select count(*) from collector.landing") == 0


@pytest.mark.parametrize("signed", ["signed", "unsigned", "forged", "a year ahead"])
def test_the_signature_counts_whatever_its_age(node, store, bring, collector_pair, tmp_path, signed):
    """A node with a bound key: a signed bundle lands with its tier, whatever its clock; another is set aside."""
    key = Key.load_or_make(tmp_path / "node.key")
    with psycopg.connect(collector_pair.dsn("fuel_admin"), autocommit=True) as connection:
        from fuel_stat.identity import node_id

        connection.execute(
            "insert into collector.node_key (node, uid, key_id, public_key, tier, state)"
            " values (%s, %s, %s, %s, 1, 'active')",
            (node_id(UID), UID, key.key_id, key.public),
        )
    if signed != "unsigned":
        with store.write() as connection:
            connection.execute(store.tables.facts.insert().values(name=FACT, value=key.key_id))
    if signed == "a year ahead":
        node.signature("http://x/", b"")
        node._key.offset = 365 * 86400.0
    path = exported(node, tmp_path)
    if signed == "forged":

        def forge(lines):
            import hashlib

            lines[2]["body"] = lines[2]["body"].replace("deploy_changes", "delete_changes")
            lines[2]["digest"] = hashlib.sha256(lines[2]["body"].encode()).hexdigest()
            return lines

        path = rewritten(path, forge)
    done = bring(path)
    assert done.exit_code == 0, done.output
    expected = {"signed": (12, 0), "a year ahead": (12, 0), "unsigned": (0, 13), "forged": (7, 5)}[signed]
    assert (counted(collector_pair, LANDED), counted(collector_pair, QUARANTINED)) == expected
    tiers = "select count(*) from collector.landing where tier <> 1 and kind = 'action_logs'"
    assert counted(collector_pair, tiers) == 0
    late = "select count(*) from collector.node_key where last_created > extract(epoch from now()) + 10"
    assert counted(collector_pair, late) == 0
