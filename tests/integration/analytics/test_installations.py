"""What is published about one installation."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from fuel_stat.identity import installation_key
from tests.integration.analytics import sample
from tests.integration.analytics.server import Server


def test_structure_is_found_by_uid_and_by_pseudonym(api: Server, pepper: bytes) -> None:
    """Both look-ups give the latest structure; the answer carries the pseudonym, never the uid."""
    key = str(installation_key(pepper, sample.UID))
    by_uid = api.get(f"json/installation_info/{sample.UID}")
    assert by_uid.status_code == 200
    assert by_uid.json() == api.get(f"json/installation_info/{key}").json()
    assert sample.UID not in by_uid.text
    found = by_uid.json()
    assert (found["master_node_uid"], found["release"], found["is_filtered"]) == (key, "9.0", False)
    assert found["structure"] == {**sample.STRUCTURES[sample.UID], "master_node_uid": key}


def test_unknown_installation_is_404(api: Server) -> None:
    """An unknown uid is answered as such, with a code."""
    answer = api.get("json/installation_info/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_installation")


def test_action_logs_come_as_they_were_sent(api: Server, pepper: bytes) -> None:
    """Bodies are those of the node, in the order of its ids, without its uid."""
    answer = api.get(f"json/action_logs/{sample.UID}").json()
    key = str(installation_key(pepper, sample.UID))
    assert answer["paging_params"] == {"limit": 1000, "offset": 0, "total": 3}
    assert answer["objs"] == [{"master_node_uid": key, **record} for record in sample.ACTIONS[sample.UID]]


def test_lists_are_paged(api: Server) -> None:
    """Limit and offset take a part, the total stays."""
    paging = json.dumps({"limit": 1, "offset": 1})
    answer = api.get(f"json/action_logs/{sample.UID}", params={"paging_params": paging}).json()
    assert answer["paging_params"] == {"limit": 1, "offset": 1, "total": 3}
    assert [item["external_id"] for item in answer["objs"]] == [2]


def test_unknown_installation_has_empty_lists(api: Server) -> None:
    """A list of nothing is an empty list."""
    for path in ("action_logs", "oswls"):
        answer = api.get(f"json/{path}/nobody").json()
        assert answer == {"paging_params": {"limit": 1000, "offset": 0, "total": 0}, "objs": []}


def test_workloads_come_as_they_were_sent(api: Server) -> None:
    """All records, or those of one type."""
    records = api.get(f"json/oswls/{sample.UID}").json()
    assert records == api.get(f"json/oswls/{sample.UID}/vm").json()
    assert api.get(f"json/oswls/{sample.UID}/volume").json()["objs"] == []
    sent = sample.WORKLOADS[sample.UID]
    assert [item["resource_data"] for item in records["objs"]] == [item["resource_data"] for item in sent]
    first = records["objs"][0]
    assert (first["external_id"], first["cluster_id"], first["created_date"]) == (1, 1, "2026-03-02")


def test_filtered_installations_are_listed(api: Server, pepper: bytes) -> None:
    """Only what is filtered out."""
    objs = api.get("json/installation_infos/filtered").json()["objs"]
    assert [item["master_node_uid"] for item in objs] == [str(installation_key(pepper, sample.FILTERED_UID))]


def test_summary_counts_all_kinds(api: Server) -> None:
    """Totals, filtered ones apart."""
    assert api.get("json/summary").json() == {
        "action_logs": {"total": 4},
        "installation_structures": {"total": 4, "filtered": 1, "not_filtered": 3},
        "oswl_stats": {"total": 2},
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("json/action_logs/x?paging_params=nonsense", 400, "bad_paging"),
        ("csv/vm?from_date=yesterday", 400, "bad_date"),
        ("csv/vm?from_date=2016-02-02&to_date=2016-02-01", 400, "bad_period"),
        ("csv/secrets", 404, "unknown_export"),
        ("nothing", 404, "not_found"),
        ("reports/not-a-uuid", 404, "unknown_report"),
        ("integrity?from_date=1", 400, "bad_date"),
    ],
)
def test_refusals_are_json_with_a_code(api: Server, path: str, status: int, code: str) -> None:
    """Every refusal has the same shape: a code for machines, a sentence for people."""
    answer = api.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "error"
    assert answer.json()["code"] == code
    assert answer.json()["message"].endswith(".")


def test_wrong_method_names_the_right_ones(api: Server) -> None:
    """405 comes with Allow, as JSON."""
    answer = httpx.delete(f"{api.url}/api/v1/json/summary")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


def test_trailing_slash_means_the_same(api: Server) -> None:
    """API paths are answered directly with and without a slash at the end."""
    assert api.get("json/summary/").json() == api.get("json/summary").json()


def test_uid_in_a_path_never_reaches_the_log(api: Server) -> None:
    """The log names routes by their template."""
    api.get(f"json/installation_info/{sample.OTHER_UID}")
    assert sample.OTHER_UID not in api.log.read_text()
    assert "/api/v1/json/installation_info/{uid}" in api.log.read_text()


def test_no_member_of_a_structure_can_pass_for_markup(api: Server) -> None:
    """Answers are JSON that browsers do not sniff."""
    answer = api.get("json/report/installations")
    nosniff: Any = answer.headers["x-content-type-options"]
    assert (answer.headers["content-type"], nosniff) == ("application/json", "nosniff")
