"""What is remembered: versions, contacts, one landing a node, keys across requests."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest
import zstandard

from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.samples import action, structure, task, workload


def fresh_uid() -> str:
    """A uid nobody used."""
    return f"history-{secrets.token_hex(6)}"


def statuses(answer: httpx.Response, kind: str) -> list[str]:
    """The per-record answers of a success."""
    assert answer.status_code == 200, answer.text
    return [entry["status"] for entry in answer.json()[kind]]


def landed(collector: Collector, uid: str) -> list[Any]:
    """(kind, records taken, document) of each landing of a node, oldest first."""
    rows = collector.rows(
        "select kind, taken, records, payload from collector.landing where uid = %s order by received_at", uid
    )
    inflate = zstandard.ZstdDecompressor().decompress
    return [
        (kind, list(range(records)) if taken is None else taken, orjson.loads(inflate(payload)))
        for kind, taken, records, payload in rows
    ]


def test_a_structure_is_kept_when_it_differs_from_the_latest(collector: Collector) -> None:
    """A, A, B, A: 201, then 200s; three versions; one contact a day, however it arrived."""
    uid = fresh_uid()
    one, two = structure(uid), structure(uid, clusters_num=2)
    answers = []
    for body in (one, one, two, one):
        headers = {"master-node-uid": uid}
        posted = collector.client.post(
            "/api/v1/installation_structure/", json={"installation_structure": body}, headers=headers
        )
        answers.append(posted.status_code)
    assert answers == [201, 200, 200, 200]
    assert [entry[2]["installation_structure"]["clusters_num"] for entry in landed(collector, uid)] == [
        1,
        2,
        1,
    ]
    assert collector.rows("select count(*) from collector.contact where uid = %s", uid) == [(1,)]


def test_the_header_is_not_believed(collector: Collector) -> None:
    """The body's uid counts: a header that names another node neither lands nor hides anything."""
    uid, other = fresh_uid(), fresh_uid()
    for _ in range(2):
        answer = collector.client.post(
            "/api/v1/installation_structure/",
            json={"installation_structure": structure(uid)},
            headers={"master-node-uid": other},
        )
    assert answer.status_code == 200
    assert len(landed(collector, uid)) == 1
    assert collector.rows("select count(*) from collector.node where uid = %s", other) == [(0,)]


def test_an_unchanged_structure_counts_as_contact_on_a_new_day(collector: Collector) -> None:
    """When the contact of today is missing, an unchanged structure writes it and nothing else."""
    uid = fresh_uid()
    body = {"installation_structure": structure(uid)}
    headers = {"master-node-uid": uid}
    collector.client.post("/api/v1/installation_structure/", json=body, headers=headers)
    collector.rows("delete from collector.contact where uid = %s returning 1", uid)
    assert (
        collector.client.post("/api/v1/installation_structure/", json=body, headers=headers).status_code
        == 200
    )
    assert collector.rows("select count(*) from collector.contact where uid = %s", uid) == [(1,)]
    assert len(landed(collector, uid)) == 1


def test_workloads_keep_every_version(collector: Collector) -> None:
    """New is added, known is updated also when nothing changed; A, A, B, A lands three versions."""
    uid = fresh_uid()
    first, second = workload(uid, 1), workload(uid, 1, updated_time="18:00:00")
    seen = [
        statuses(collector.client.post("/api/v1/oswl_stats/", json={"oswl_stats": [record]}), "oswl_stats")
        for record in (first, dict(reversed(first.items())), second, first)
    ]
    assert seen == [["added"], ["updated"], ["updated"], ["updated"]]
    assert len(landed(collector, uid)) == 3


def test_one_id_of_two_types_is_two_records(collector: Collector) -> None:
    """The key of a workload is (uid, id, type)."""
    uid = fresh_uid()
    records = [workload(uid, 1, "vm"), workload(uid, 1, "volume")]
    answer = collector.client.post("/api/v1/oswl_stats/", json={"oswl_stats": records})
    assert statuses(answer, "oswl_stats") == ["added", "added"]


def test_growing_lists_take_only_what_is_new(collector: Collector) -> None:
    """The second request repeats the first's records: they existed, and expansion takes each record once."""
    uid = fresh_uid()
    for count, wanted in ((3, ["added"] * 3), (5, ["existed"] * 3 + ["added"] * 2)):
        records = [action(uid, number) for number in range(count)]
        answer = collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
        assert statuses(answer, "action_logs") == wanted
    taken = [
        document["action_logs"][place]["external_id"]
        for _, places, document in landed(collector, uid)
        for place in places
    ]
    assert taken == [0, 1, 2, 3, 4]


def test_the_last_of_a_key_in_one_request_counts(collector: Collector) -> None:
    """One answer a key; the stored record is the last one; a refused copy does not sink a good one."""
    uid = fresh_uid()
    refused = action(uid, 1, action_type="cron")
    records = [action(uid, 1, cluster_id=1), action(uid, 1, cluster_id=2), refused]
    answer = collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    assert statuses(answer, "action_logs") == ["added"]
    ((_, places, document),) = landed(collector, uid)
    stored = document if isinstance(document, list) else document["action_logs"]
    assert [stored[place]["body"]["cluster_id"] for place in places] == [2]


def test_unfinished_tasks_are_skipped_until_they_end(collector: Collector) -> None:
    """Null, empty or missing end: skipped, only the contact is kept; finished: added, then existed."""
    uid = fresh_uid()
    missing = task(uid, 3, None)
    del missing["body"]["end_timestamp"]
    records = [task(uid, 1, None), task(uid, 2, ""), missing]
    answer = collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    assert statuses(answer, "action_logs") == ["skipped"] * 3
    assert landed(collector, uid) == []
    assert collector.rows("select count(*) from collector.contact where uid = %s", uid) == [(1,)]
    for wanted in ("added", "existed"):
        records = [task(uid, number, "2026-11-23 17:01:40") for number in (1, 2, 3)]
        answer = collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
        assert statuses(answer, "action_logs") == [wanted] * 3


def test_two_nodes_in_one_request_are_two_landings(collector: Collector) -> None:
    """A landing holds records of one node only, so that erasing a node is a delete."""
    one, two = fresh_uid(), fresh_uid()
    records = [action(one, 1), action(two, 1), action(one, 2), action(two, 2, action_type="cron")]
    answer = collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
    assert sorted(statuses(answer, "action_logs")) == ["added", "added", "added", "failed"]
    for uid, count in ((one, 2), (two, 1)):
        ((_, _, document),) = landed(collector, uid)
        assert [record["master_node_uid"] for record in document] == [uid] * count


@pytest.mark.parametrize("kind", ["action_logs", "oswl_stats", "installation_structure"])
def test_identical_requests_at_once_store_once(collector: Collector, kind: str) -> None:
    """Eight clients send the same at once, over both workers: one added a key, no failed, one stored record."""
    uid = fresh_uid()
    bodies = {
        "action_logs": [action(uid, number) for number in range(100)],
        "oswl_stats": [workload(uid, number) for number in range(50)],
        "installation_structure": structure(uid),
    }
    text = json.dumps({kind: bodies[kind]}).encode()

    def send(_: int) -> Any:
        with collector.server.client() as client:
            answer = client.post(f"/api/v1/{kind}/", content=text)
        assert answer.status_code in (200, 201), answer.text
        return answer

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(8)))
        if kind == "installation_structure":
            assert sorted(answer.status_code for answer in answers)[:-1] == [200] * 7
        else:
            added = [
                entry for answer in answers for entry in answer.json()[kind] if entry["status"] == "added"
            ]
            failed = [
                entry for answer in answers for entry in answer.json()[kind] if entry["status"] == "failed"
            ]
            assert len(added) in (len(bodies[kind]), 0)
            assert failed == []
    taken = [place for _, places, _ in landed(collector, uid) for place in places]
    assert len(taken) == (1 if kind == "installation_structure" else len(bodies[kind]))


def test_overlapping_lists_in_any_order_never_deadlock(collector: Collector) -> None:
    """Shuffled, overlapping lists of several nodes at once: every key is added exactly once over all answers."""
    uids = [fresh_uid() for _ in range(4)]

    def send(seed: int) -> list[dict[str, Any]]:
        keys = [(uid, number) for uid in uids for number in range(seed % 7, 40 + seed % 7)]
        keys.sort(key=lambda key: hash((seed, key)))
        with collector.server.client() as client:
            answer = client.post("/api/v1/action_logs/", json={"action_logs": [action(*key) for key in keys]})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["action_logs"])

    with ThreadPoolExecutor(8) as pool:
        answers = [entry for entries in pool.map(send, range(24)) for entry in entries]
    added = [(e["master_node_uid"], e["external_id"]) for e in answers if e["status"] == "added"]
    assert len(added) == len(set(added)) == 4 * 46
    assert {entry["status"] for entry in answers} == {"added", "existed"}


def test_erasing_a_node_leaves_nothing_and_is_not_undone_by_a_cache(collector: Collector) -> None:
    """Everything of the node goes, a later report starts it anew, with its node and contact rows; others stay."""
    uid, other = fresh_uid(), fresh_uid()
    for sender in (uid, other):
        records = [action(sender, 1), action(sender, 2, action_type="cron")]
        collector.client.post("/api/v1/action_logs/", json={"action_logs": records})
        collector.client.post("/api/v1/oswl_stats/", json={"oswl_stats": [workload(sender, 1)]})
        body = {"installation_structure": structure(sender)}
        collector.client.post(
            "/api/v1/installation_structure/", json=body, headers={"master-node-uid": sender}
        )
    erased = dict(collector.rows("select relation, erased from collector.erase_node(%s)", uid))
    assert erased["landing"] == 3
    assert erased["quarantine"] == 1
    assert erased["node"] == erased["contact"] == 1
    # The helper's connection rolls back only on errors: the erasure is committed here.
    for table in ("landing", "node", "contact", "quarantine"):
        assert collector.rows(f"select count(*) from collector.{table} where uid = %s", uid) == [(0,)], table
        assert collector.rows(f"select count(*) > 0 from collector.{table} where uid = %s", other) == [
            (True,)
        ]
    body = {"installation_structure": structure(uid)}
    again = collector.client.post(
        "/api/v1/installation_structure/", json=body, headers={"master-node-uid": uid}
    )
    assert again.status_code == 201
    for table in ("landing", "node", "contact"):
        assert collector.rows(f"select count(*) from collector.{table} where uid = %s", uid) == [(1,)], table
