"""Workload records: one row a cluster, type and day, with what came, went and changed."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from nailgun_sender.providers import ClusterWorkload
from nailgun_sender.store import Store

from nailgun_sender import ProviderError, Settings, clock, retention, workloads

MORNING = datetime(2026, 11, 23, 9, 0, 0, 5)  # noqa: DTZ001


def look(*resources: dict[str, Any], cluster: int = 1, kind: str = "tenant") -> list[ClusterWorkload]:
    """One look at one cluster."""
    return [ClusterWorkload(cluster, kind, resources, {"fuel_version": "10.0", "secret": "x"})]


def rows(store: Store) -> list[dict[str, Any]]:
    """All workload rows by id."""
    table = store.tables.workloads
    with store.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings()]


A, B = {"id": "a", "enabled_flag": True}, {"id": "b", "enabled_flag": True}
B2 = {"id": "b", "enabled_flag": False}


def test_a_day_is_one_row_that_collects_what_happened(store: Store) -> None:
    """Looks within a day: added with id and time, removed as they were, modified with the former values."""
    at = [MORNING + timedelta(hours=n) for n in range(4)]
    assert workloads.record(store, look(A, B), at[0]) == 1
    assert workloads.record(store, look(B, A), at[1]) == 0  # the same in another order: nothing is written
    assert workloads.record(store, look(A, B2), at[2]) == 1
    assert workloads.record(store, look(B2), at[3]) == 1
    (row,) = rows(store)
    assert row["resource_data"] == {
        "current": [B2],
        "added": [{"id": "a", "time": "09:00:00.000005"}, {"id": "b", "time": "09:00:00.000005"}],
        "modified": [{"id": "b", "enabled_flag": True, "time": "11:00:00.000005"}],
        "removed": [{**A, "time": "12:00:00.000005"}],
    }
    assert (row["created_date"], row["updated_time"]) == (date(2026, 11, 23), time(12, 0, 0, 5))
    assert row["version_info"] == {"fuel_version": "10.0"}
    assert row["version"] == 3


def test_a_new_day_begins_with_what_was_there(store: Store) -> None:
    """The first look of a day is compared with the last record; an unchanged one still gets its row."""
    workloads.record(store, look(A), MORNING)
    workloads.record(store, look(A), MORNING + timedelta(days=1))
    workloads.record(store, look(B), MORNING + timedelta(days=3))
    first, second, third = rows(store)
    assert second["resource_data"] == {"current": [A], "added": [], "modified": [], "removed": []}
    assert third["resource_data"]["removed"] == [{**A, "time": "09:00:00.000005"}]
    assert first["resource_checksum"] == second["resource_checksum"] != third["resource_checksum"]


def test_a_change_after_sending_is_to_be_sent_again(store: Store) -> None:
    """A row that was sent and then changed is fresh; a mark for its older version does not take."""
    workloads.record(store, look(A), MORNING)
    table = store.tables.workloads
    mark = table.update().where(table.c.version == 1).values(is_sent=True, sent_at=clock.now())
    with store.write() as connection:
        connection.execute(mark)
    assert rows(store)[0]["is_sent"]
    workloads.record(store, look(A, B), MORNING + timedelta(minutes=1))
    assert not rows(store)[0]["is_sent"]
    with store.write() as connection:
        assert connection.execute(mark).rowcount == 0


def test_the_checksum_does_not_depend_on_order() -> None:
    """Neither on the order of keys nor of resources; it does on every value."""
    things = [{"id": str(n), "b": {"x": 1, "y": [1, 2]}, "a": None} for n in range(5)]
    shuffled = [dict(random.Random(n).sample(list(each.items()), 3)) for n, each in enumerate(things)]
    assert workloads.checksum(things) == workloads.checksum(shuffled[::-1])
    assert workloads.checksum(things) != workloads.checksum(things[1:])


def test_the_last_record_of_a_pair_does_not_expire(settings: Settings, store: Store) -> None:
    """Sent and old goes, but for the newest record of each cluster and type, with which the next is compared."""
    for day in range(3):
        workloads.record(store, look(A), MORNING + timedelta(days=day))
    with store.write() as connection:
        old = clock.now() - timedelta(days=90)
        connection.execute(store.tables.workloads.update().values(is_sent=True, sent_at=old))
    assert retention.apply(store, settings) == {"expired_workloads": 2}
    assert [row["created_date"] for row in rows(store)] == [date(2026, 11, 25)]
    workloads.record(store, look(A, cluster=2), MORNING)
    assert retention.apply(store, replace(settings, most_workloads=1))["capped_workloads"] == 1


def test_two_processes_that_look_at_once_make_one_row(store: Store) -> None:
    """Eight at the same time: one row, and all resources are in it."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _n: workloads.record(store, look(A, B), MORNING), range(8)))
    (row,) = rows(store)
    assert len(row["resource_data"]["added"]) == 2


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_unknown_type_is_an_error_of_the_provider(store: Store) -> None:
    """The contract knows eight types."""
    with pytest.raises(ProviderError) as caught:
        workloads.record(store, look(A, kind="router"), MORNING)
    assert caught.value.code == "unknown_resource_type"


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_a_real_node_sent_is_kept_whole(store: Store, recorded: Path) -> None:
    """Real workloads lose nothing to the sanitiser, and get the day's record that the real node made of them."""
    checked = 0
    for path in sorted((recorded / "nailgun").glob("*POST-oswl_stats.json")):
        for record in json.loads(json.loads(path.read_text())["request"]["body"])["oswl_stats"]:
            data = record["resource_data"]
            cluster, kind = record["id"] * 1000 + checked, record["resource_type"]
            at = datetime.fromisoformat(f"{record['created_date']}T{record['updated_time']}")
            given = ClusterWorkload(cluster, kind, data["current"], record["version_info"])
            workloads.record(store, [given], at)
            row = rows(store)[-1]
            assert row["resource_data"]["current"] == data["current"]
            assert row["version_info"] == record["version_info"]
            assert row["created_date"].isoformat() == record["created_date"]
            checked += 1
    assert checked == 21


def _there(data: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """What a look at that time saw: what came later is not there, what changed later is undone."""
    came = {each["id"]: each["time"] for each in data["added"]}
    went = {each["id"]: each["time"] for each in data["removed"]}
    seen = []
    for each in [*data["current"], *data["removed"]]:
        if came[each["id"]] <= at < went.get(each["id"], "99"):
            then = dict(each)
            for former in reversed(data["modified"]):
                if former["id"] == each["id"] and former["time"] > at:
                    then.update(former)
            then.pop("time", None)
            seen.append(then)
    return seen


def _in_any_order(data: dict[str, Any]) -> dict[str, list[str]]:
    return {name: sorted(json.dumps(each, sort_keys=True) for each in data[name]) for name in data}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_day_is_recorded_as_the_real_node_recorded_it(store: Store, recorded: Path) -> None:
    """The looks behind the recorded traffic, taken again at their times, make its records: what came, went and changed.

    Volumes were looked at twice, virtual machines three times, with changes in between.
    """
    taken: dict[tuple[int, str], list[str]] = {}
    for path in sorted((recorded / "nailgun").glob("*POST-oswl_stats.json")):
        for sent in json.loads(json.loads(path.read_text())["request"]["body"])["oswl_stats"]:
            data, pair = sent["resource_data"], (sent["cluster_id"], sent["resource_type"])
            times = {each["time"] for name in ("added", "removed", "modified") for each in data[name]}
            for at in sorted(times - set(taken.get(pair, []))):
                look_then = ClusterWorkload(*pair, _there(data, at), sent["version_info"])
                assert (
                    workloads.record(
                        store, [look_then], datetime.fromisoformat(f"{sent['created_date']}T{at}")
                    )
                    == 1
                )
                taken.setdefault(pair, []).append(at)
            (row,) = (row for row in rows(store) if (row["cluster_id"], row["resource_type"]) == pair)
            assert _in_any_order(row["resource_data"]) == _in_any_order(data)
            assert row["updated_time"].isoformat() == sent["updated_time"]
    assert sorted(map(len, taken.values())) == [1] * 12 + [2] * 3 + [3] * 3
