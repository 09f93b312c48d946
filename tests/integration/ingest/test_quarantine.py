"""What is refused is kept, once, with a counter; and can be taken after the schema was mended."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fuel_stat.errors import OperatorError
from ingest_api import quarantine as ward
from ingest_api.cli import quarantine as application
from ingest_api.kinds import SHIPPED
from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.samples import action, structure, task, workload


@pytest.fixture
def mended(tmp_path: Path) -> Path:
    """A folder of kinds in which action_type may also be ``cron``."""
    folder = tmp_path / "kinds"
    shutil.copytree(SHIPPED / "action_logs", folder / "action_logs")
    path = folder / "action_logs" / "action_logs.1.schema.json"
    path.write_text(path.read_text().replace('"http_request"', '"http_request", "cron"'))
    return folder


def test_a_refused_record_is_kept_once_and_counted(collector: Collector) -> None:
    """Sent three times, with different neighbours: one entry, seen three times, with position, reason and text."""
    uid = f"kept-{secrets.token_hex(4)}"
    bad = action(uid, 7, action_type="cron", note="the disk is /dev/sda")
    for number in range(3):
        records = [action(uid, number), bad]
        collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    (entry,) = [e for e in ward.entries(collector.pair.dsn("fuel_admin")) if e.uid == uid]
    assert (entry.seen_count, entry.position, entry.reason_code, entry.state) == (3, 1, "schema", "open")
    assert json.loads(entry.text() or "")["body"]["note"] == "the disk is /dev/sda"
    assert "cron" not in entry.reason.split("must satisfy")[0]


def test_what_is_not_json_leaves_digest_length_and_error(collector: Collector) -> None:
    """No byte of it is kept."""
    body = b"password=" + secrets.token_hex(8).encode()
    for _ in range(2):
        assert collector.client.post("/api/v1/oswl_stats/", content=body).status_code == 400
    ((code, size, payload, seen),) = collector.rows(
        "select reason_code, payload_bytes, payload, seen_count from collector.quarantine"
        " where kind = 'oswl_stats' and digest = sha256(%s)",
        body,
    )
    assert (code, size, payload, seen) == ("not_json", len(body), None, 2)


def test_leaks_are_removed_before_the_quarantine_too(collector: Collector) -> None:
    """A refused record, a poisoned one and a broken envelope: none keeps a credential."""
    secret = secrets.token_hex(12)
    uid = f"leak-{secret[:6]}"
    bad = action(uid, 1, action_type="cron", additional_info={"os_password": secret})
    nul = action(uid, 2, note="\0", additional_info={"admin_key": secret})
    posts = [
        {"action_logs": [action(uid, 3), bad, nul]},
        {"action_logs": {"os_password": secret}},
        {"action_logs": [], "\u0070assword": secret},
    ]
    for post in posts:
        collector.client.post("/api/v1/action_logs/", json=post)
    texts = [e.text() or "" for e in ward.entries(collector.pair.dsn("fuel_admin"), kind="action_logs")]
    assert sum(uid in text for text in texts) == 2
    assert not any(secret in text for text in texts)


def test_replay_takes_what_the_mended_schema_allows(collector: Collector, mended: Path) -> None:
    """A dry run changes nothing and says what would happen; the replay lands with the right status, once."""
    uid, dsn = f"mend-{secrets.token_hex(4)}", collector.pair.dsn("fuel_admin")
    records = [action(uid, 1, action_type="cron"), action(uid, 2, action_type="other"), action(uid, 3)]
    collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    ids = [entry.quarantine_id for entry in ward.entries(dsn) if entry.uid == uid]
    assert [row.outcome for row in ward.replay(dsn, ids=ids, dry_run=True)] == ["failed", "failed"]
    dry = ward.replay(dsn, ids=ids, dry_run=True, kinds_folder=mended)
    assert sorted(row.outcome for row in dry) == ["failed", "good"]
    assert collector.rows("select count(*) from collector.landing where uid = %s", uid) == [(1,)]
    for wanted in (["added", "failed"], ["failed"]):
        assert sorted(row.outcome for row in ward.replay(dsn, ids=ids, kinds_folder=mended)) == wanted
    assert collector.rows("select count(*) from collector.landing where uid = %s", uid) == [(2,)]
    states = collector.rows("select state from collector.quarantine where uid = %s order by 1", uid)
    assert states == [("open",), ("replayed",)]


def test_replay_of_an_old_structure_does_not_hide_a_newer_one(collector: Collector, tmp_path: Path) -> None:
    """A refused structure that the node has meanwhile replaced is superseded, not landed."""
    uid, dsn = f"old-{secrets.token_hex(4)}", collector.pair.dsn("fuel_admin")
    for count in (1.0, 1):
        body = {"installation_structure": structure(uid, clusters_num=count)}
        collector.client.post("/api/v1/installation_structure/", json=body)
    folder = tmp_path / "kinds"
    shutil.copytree(SHIPPED / "installation_structure", folder / "installation_structure")
    path = folder / "installation_structure" / "installation_structure.1.schema.json"
    path.write_text(path.read_text().replace('"integer"', '"number"'))
    ids = [entry.quarantine_id for entry in ward.entries(dsn) if entry.uid == uid]
    (outcome,) = ward.replay(dsn, ids=ids, kinds_folder=folder)
    assert outcome.outcome == "superseded"
    assert collector.rows("select count(*) from collector.landing where uid = %s", uid) == [(1,)]


def test_replay_does_not_pretend_that_the_node_was_heard_from(collector: Collector, mended: Path) -> None:
    """The operator's replay writes no contact row."""
    uid, dsn = f"silent-{secrets.token_hex(4)}", collector.pair.dsn("fuel_admin")
    collector.client.post("/api/v1/action_logs/", json={"action_logs": [action(uid, 1, action_type="cron")]})
    ids = [entry.quarantine_id for entry in ward.entries(dsn) if entry.uid == uid]
    (outcome,) = ward.replay(dsn, ids=ids, kinds_folder=mended)
    assert outcome.outcome == "added"
    assert collector.rows("select count(*) from collector.contact where uid = %s", uid) == [(0,)]


def test_the_operators_door(collector: Collector, mended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """list, show, replay --dry-run, replay, discard: texts, JSON and exit codes."""
    uid = f"door-{secrets.token_hex(4)}"
    records = [action(uid, 1, action_type="cron"), action(uid, 2, action_type="other"), task(uid, 3, None)]
    collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    collector.client.post("/api/v1/oswl_stats/", json={"oswl_stats": [workload(uid, 1, "router")]})
    monkeypatch.setenv("FUEL_STAT_COLLECTOR_ADMIN_DSN", collector.pair.dsn("fuel_admin"))
    monkeypatch.setenv("FUEL_STAT_INGEST_KINDS", str(mended))
    run = CliRunner().invoke
    listed = json.loads(run(application, ["list", "--node", uid, "--json"]).stdout)
    assert [entry["kind"] for entry in listed] == ["action_logs", "action_logs", "oswl_stats"]
    assert "3 entries" in run(application, ["list", "--node", uid]).stdout
    ids = [str(entry["quarantine_id"]) for entry in listed]
    # Entries of one request are written in the order of their digests: which is first is chance.
    if '"cron"' not in run(application, ["show", ids[0]]).stdout:
        ids[0], ids[1] = ids[1], ids[0]
    first, second, third = ids
    assert '"cron"' in run(application, ["show", first]).stdout
    dry = run(application, ["replay", "--node", uid, "--kind", "action_logs", "--dry-run"])
    assert (dry.exit_code, "1 failed, 1 good" in dry.stdout) == (1, True)
    assert run(application, ["replay", first]).exit_code == 0
    assert run(application, ["discard", second, third]).exit_code == 0
    assert json.loads(run(application, ["list", "--node", uid, "--json"]).stdout) == []
    assert len(json.loads(run(application, ["list", "--node", uid, "--state", "all", "--json"]).stdout)) == 3
    for arguments in (["show", "999999999"], ["discard", "999999999"], ["list", "--state", "odd"]):
        assert isinstance(run(application, arguments).exception, OperatorError)
