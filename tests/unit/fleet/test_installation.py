"""The simulated installations: deterministic, plausible, and with everything a real fleet sends."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from fleet.catalogue import RESOURCE_TYPES, TEST_BUILDS
from fleet.installation import Installation, installations, make_installation, uid_of

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def fleet() -> list[Installation]:
    """A fleet of the demonstration's size."""
    return list(installations(1, 60, 90, NOW))


def dump(installation: Installation) -> str:
    actions = [action.record(installation.uid, NOW) for action in installation.actions]
    visits = [
        [visit.structure, [w.record(installation.uid, installation.clock) for w in visit.workloads]]
        for visit in installation.visits
    ]
    return json.dumps([actions, visits])


def test_equal_seeds_give_equal_fleets() -> None:
    """The same seed, number and time give the same bytes; another seed gives another uid."""
    assert dump(make_installation(7, 3, 90, NOW)) == dump(make_installation(7, 3, 90, NOW))
    assert uid_of(7, 3) == make_installation(7, 3, 90, NOW).uid
    assert uid_of(8, 3) != uid_of(7, 3)


def test_the_fleet_has_the_demonstrations_size(fleet: list[Installation]) -> None:
    """About ten thousand action logs and one and a half thousand workload records, over all releases."""
    actions = sum(len(installation.actions) for installation in fleet)
    workloads = {(i.uid, w.id) for i in fleet for visit in i.visits for w in visit.workloads}
    assert 8_000 < actions < 13_000
    assert 900 < len(workloads) < 2_200
    assert {i.release.version for i in fleet} == set(TEST_BUILDS)


def test_every_kind_of_workload_and_of_trouble_is_there(fleet: list[Installation]) -> None:
    """All eight resource types, failed deployments before a success, running tasks, wrong clocks, test builds."""
    types = {w.resource_type for i in fleet for visit in i.visits for w in visit.workloads}
    assert types == set(RESOURCE_TYPES)
    outcomes = Counter(
        action.body["additional_info"]["ended_with_status"]
        for i in fleet
        for action in i.actions
        if action.body.get("action_type") == "nailgun_task" and action.body["action_name"] == "deploy"
    )
    assert outcomes["error"] > 10
    assert outcomes["ready"] > 20
    assert any(not action.finished_at(NOW) for i in fleet for action in i.actions)
    assert any(abs(i.clock.skew.total_seconds()) > 3600 for i in fleet)
    assert any(i.is_test_build for i in fleet)
    statuses = {c["status"] for i in fleet for visit in i.visits for c in visit.structure["clusters"]}
    assert {"operational", "error", "new"} <= statuses


def test_builds_before_8_and_packages_from_8_on(fleet: list[Installation]) -> None:
    """`build_id` before 8.0, `fuel_packages` from 8.0 on, never both."""
    for installation in fleet:
        structure = installation.visits[0].structure
        if "fuel_release" in structure:
            assert ("fuel_packages" in structure) == installation.release.has_packages
            assert ("build_id" in structure["fuel_release"]) != installation.release.has_packages


def test_counts_in_structures_are_true(fleet: list[Installation]) -> None:
    """`clusters_num`, `nodes_num` and `allocated_nodes_num` count what is there (but in the one refused on purpose)."""
    for installation in fleet:
        for visit in installation.visits:
            structure = visit.structure
            assert int(structure["clusters_num"]) == len(structure["clusters"])
            assert structure["allocated_nodes_num"] == sum(len(c["nodes"]) for c in structure["clusters"])
            assert all(c["nodes_num"] == len(c["nodes"]) for c in structure["clusters"])


def test_planted_values_are_inside_and_known(fleet: list[Installation]) -> None:
    """Each remembered leak is found in what is sent, so that looking for it afterwards proves something."""
    installation = max(fleet, key=lambda i: len(i.planted))
    text = json.dumps([visit.structure for visit in installation.visits], ensure_ascii=False)
    text += json.dumps([action.body for action in installation.actions], ensure_ascii=False)
    assert installation.planted
    assert all(value in text for value in installation.planted)


def test_workload_ids_are_keys_and_times_grow(fleet: list[Installation]) -> None:
    """An id belongs to one (cluster, type, day), and a later version has a later time of the same day."""
    for installation in fleet:
        seen: dict[int, tuple[object, ...]] = {}
        times: dict[int, str] = {}
        for visit in installation.visits:
            for workload in visit.workloads:
                record = workload.record(installation.uid, installation.clock)
                identity = (record["cluster_id"], record["resource_type"], workload.at.date())
                assert seen.setdefault(workload.id, identity) == identity
                assert times.get(workload.id, "") <= str(workload.at)
                times[workload.id] = str(workload.at)
