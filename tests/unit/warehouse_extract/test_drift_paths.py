"""Paths of records: types, counts, first and last sight, releases; never a value. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from warehouse.drift_paths import Paths

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def paths_of(*records: Any) -> dict[tuple[str, str], int]:
    """Path and type to the number of records that have it."""
    paths = Paths()
    for record in records:
        paths.add(record, NOON)
    return {(sight.path, sight.type): sight.records for sight in paths.sights()}


def test_every_type_has_its_path_once_a_record() -> None:
    """A list's elements are one path, however many there are; a path of two types is two."""
    found = paths_of({"a": [1, 2, 2.5, {"b": None}], "c": True}, {"a": "text"})
    assert found == {
        ("a", "array"): 1, ("a", "string"): 1, ("a[]", "integer"): 1, ("a[]", "number"): 1, ("a[]", "object"): 1,
        ("a[].b", "null"): 1, ("c", "boolean"): 1,
    }  # fmt: skip


def test_names_that_are_identifiers_are_no_paths() -> None:
    """Digests, addresses, numbers and host names used as names are not recorded: they would be values."""
    record = {"nodes": {"17": 1, "node-1.example.com": 2, "deadbeefcafe0123": 3, "52:54:00:12:34:56": 4}}
    assert paths_of(record) == {("nodes", "object"): 1, ("nodes.{name}", "integer"): 1}


def test_sights_keep_their_extremes_and_releases() -> None:
    """First and last sight do not depend on the order; a release that is too long for one is not kept."""
    paths = Paths()
    for hours, release in ((0, "9.0"), (-2, "8.0"), (3, None), (1, "x" * 33)):
        paths.add({"a": 1}, NOON + timedelta(hours=hours), release)
    (sight,) = paths.sights()
    assert (sight.first, sight.last) == (NOON - timedelta(hours=2), NOON + timedelta(hours=3))
    assert (sight.records, sight.releases) == (4, {"8.0", "9.0"})


def test_a_flood_of_names_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up names take neither memory nor rows without end; what is known goes on being counted."""
    monkeypatch.setattr(Paths, "LIMIT", 10)
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = paths_of({"known": 1}, {f"made_up_{a}{b}": 1 for a in letters for b in letters}, {"known": 2})
    assert len(found) == 10
    assert found["known", "integer"] == 2


def test_depth_ends_somewhere() -> None:
    """A record that nests without end is followed for some levels only."""
    record: Any = 1
    for _ in range(500):
        record = {"a": record}
    assert len(paths_of(record)) == 30
