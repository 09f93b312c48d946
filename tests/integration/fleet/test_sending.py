"""The fleet over HTTP against a stand-in collector: habits of the old client, faults, and the tally."""

import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import CollectorUnreachableError, FleetError, RecordedTrafficError
from fleet.run import Probe, replay, run_fleet, trickle
from fleet.tally import TallyStore
from fleet.truth import Truth

NODES = 12


def bodies(stand_in: Any, part: str) -> list[Any]:
    return [json.loads(body) for path, _, body in stand_in.requests if part in path]


def test_everything_finished_arrives_once_and_the_tally_agrees(stand_in: Any, tmp_path: Path) -> None:
    """What the tally calls added is what the collector stored; nothing is left unanswered."""
    tally = run_fleet(stand_in.url, 1, NODES, 90, tmp_path)
    logs, workloads = tally.kinds["action_logs"], tally.kinds["oswl_stats"]
    assert logs.added == len(stand_in.stored["action_logs"])
    assert logs.sent == logs.added + logs.failed
    assert logs.unfinished > 0
    assert workloads.sent == workloads.added == len(stand_in.stored["oswl_stats"])
    assert tally.kinds["installation_structure"].added == len(stand_in.structures)
    assert tally.installations == NODES
    on_disk = json.loads((tmp_path / "fleet" / "tally.json").read_text())
    assert on_disk["kinds"]["action_logs"]["added"] == logs.added


def test_sent_again_counts_once(stand_in: Any, tmp_path: Path) -> None:
    """A second run of the same seed re-sends the same records: existed, and no key counts twice."""
    first = run_fleet(stand_in.url, 3, 4, 30, tmp_path).kinds["action_logs"]
    second = run_fleet(stand_in.url, 3, 4, 30, tmp_path).kinds["action_logs"]
    assert second.answers["existed"] >= first.added
    assert (second.sent, second.added, second.existed) == (first.sent, first.added, 0)


def test_lost_answers_refusals_and_garbage_lose_and_double_nothing(stand_in: Any, tmp_path: Path) -> None:
    """Connections cut after storing, 429 and an HTML page from a proxy: all is sent again, each key counts once."""
    stand_in.faults = ["cut", "429", "html", "cut", "ok", "cut", "429"]
    logs = run_fleet(stand_in.url, 1, 3, 90, tmp_path).kinds["action_logs"]
    assert logs.unanswered == 0
    assert logs.added + logs.existed == len(stand_in.stored["action_logs"])
    assert stand_in.faults == []


def test_pages_like_the_old_client(stand_in: Any, tmp_path: Path) -> None:
    """LIMIT 100 OFFSET n over rows just marked: no page has more than 100, and a long log drains in halves."""
    run_fleet(stand_in.url, 1, NODES, 90, tmp_path)
    pages = [body["action_logs"] for body in bodies(stand_in, "action_logs")]
    assert max(len(page) for page in pages) == 100
    by_uid: dict[str, list[list[int]]] = {}
    for page in pages:
        ids = [record["external_id"] for record in page]
        by_uid.setdefault(page[0]["master_node_uid"], []).append(ids)
    follow_ups = [pair for pages in by_uid.values() for pair in pairwise(pages) if len(pair[0]) == 100]
    assert any(min(second) > max(first) + 1 for first, second in follow_ups), "OFFSET skips rows just marked"


def test_workload_lists_grow_within_a_cycle(stand_in: Any, tmp_path: Path) -> None:
    """A second list of workloads in a cycle repeats the ten of the first."""
    run_fleet(stand_in.url, 1, NODES, 90, tmp_path)
    lists = [[record["id"] for record in body["oswl_stats"]] for body in bodies(stand_in, "oswl_stats")]
    assert any(b[:10] == a and len(b) > 10 for a, b in pairwise(lists) if len(a) == 10)


def test_headers_and_body_of_the_old_client(stand_in: Any, tmp_path: Path) -> None:
    """Uid header, plain JSON with non-ASCII escaped, and kept connections: far fewer of them than requests."""
    run_fleet(stand_in.url, 1, NODES, 90, tmp_path)
    for path, headers, body in stand_in.requests:
        assert path.startswith("/api/v1/")
        assert path.endswith("/")
        assert headers["master-node-uid"] in body.decode("ascii")
        assert headers["content-type"] == "application/json"
    assert stand_in.connections <= NODES
    assert len(stand_in.requests) > 5 * NODES


def test_unfinished_tasks_come_again_when_finished(stand_in: Any, tmp_path: Path) -> None:
    """A task that was skipped at one visit is sent with its end at a later one, and counts as added then."""
    run_fleet(stand_in.url, 1, 40, 90, tmp_path)
    ends: dict[tuple[str, int], set[bool]] = {}
    for body in bodies(stand_in, "action_logs"):
        for record in body["action_logs"]:
            key = (record["master_node_uid"], record["external_id"])
            ends.setdefault(key, set()).add(record["body"].get("end_timestamp") is not None)
    changed = [key for key, seen in ends.items() if seen == {True, False}]
    assert changed
    assert all(key in stand_in.stored["action_logs"] for key in changed)


def test_truth_equals_what_the_collector_holds(stand_in: Any, tmp_path: Path) -> None:
    """The report counted from the stored structures is the report that the fleet's truth expects."""
    run_fleet(stand_in.url, 1, 40, 90, tmp_path)
    with TallyStore(tmp_path) as store:
        truth = Truth.of(store)
    latest = [versions[-1] for versions in stand_in.structures.values()]
    statuses = [cluster["status"] for structure in latest for cluster in structure["clusters"]]
    report = truth.report()
    assert report["installations"]["count"] == len(latest)
    assert report["environments"]["count"] == len(statuses)
    assert sum(report["environments"]["statuses"].values()) == len(statuses)
    deploys = [
        record["body"]["additional_info"]["ended_with_status"]
        for record in stand_in.stored["action_logs"].values()
        if record["body"]["action_name"] == "deploy" and record["body"]["action_type"] == "nailgun_task"
    ]
    assert sum(truth.deployments().values()) == len(deploys)
    assert truth.deployments()["error"] == deploys.count("error")
    assert truth.summary()["action_logs"]["total"] == len(stand_in.stored["action_logs"])


def test_trickle_continues_the_ids(stand_in: Any, tmp_path: Path) -> None:
    """Trickled records are new ones of known nodes, at about the asked rate, with their times."""
    run_fleet(stand_in.url, 1, 3, 30, tmp_path)
    before = len(stand_in.stored["action_logs"])
    stop, probes = threading.Event(), list[Probe]()

    def observe(probe: Probe) -> None:
        probes.append(probe)
        if len(probes) == 20:
            stop.set()

    stand_in.faults = ["429", "cut"]
    tally = trickle(stand_in.url, 1, 3, rate=100.0, home=tmp_path, stop=stop, on_sent=observe)
    assert len(stand_in.stored["action_logs"]) - before == len(probes) == 20
    assert all(probe.sent_at <= probe.answered_at for probe in probes)
    assert tally.kinds["action_logs"].unanswered == 0


def test_recorded_traffic_is_replayed_in_order(stand_in: Any, tmp_path: Path, recorded: Path) -> None:
    """The recorded exchanges go out byte for byte, in order, and are tallied: one task finishes late."""
    tally = replay(stand_in.url, recorded / "nailgun", tmp_path)
    files = sorted((recorded / "nailgun").glob("*-POST-*.json"))
    expected = [json.loads(path.read_text())["request"]["body"].encode() for path in files]
    assert [body for _, _, body in stand_in.requests] == expected
    logs = tally.kinds["action_logs"]
    assert (logs.sent, logs.added, logs.unfinished) == (len(stand_in.stored["action_logs"]), logs.sent, 0)
    assert logs.answers["skipped"] >= 2


def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    """A wrong address, nobody there, or an empty folder: a FleetError, which the command line shows as one line."""
    with pytest.raises(FleetError, match="not an address"):
        run_fleet("collector", 1, 1, 1, tmp_path)
    with pytest.raises(CollectorUnreachableError):
        run_fleet("http://127.0.0.1:9", 1, 1, 1, tmp_path, patience_seconds=0.1)
    with pytest.raises(RecordedTrafficError, match="--path"):
        replay("http://127.0.0.1:9", tmp_path, tmp_path)
