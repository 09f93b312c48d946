"""Documents into cells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_api.exports.catalogue import TABLES
from analytics_api.exports.flatten import cells, find, written
from analytics_api.exports.skeleton import LEAF, NODE, Count, Many, columns, leaves, paths
from analytics_api.exports.table import harmless

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def test_columns_are_sorted_paths_with_numbered_lists_and_counts() -> None:
    """Keys are sorted at every level, lists take numbered columns, counted lists one."""
    skeleton = {"b": Many(leaves("y x"), 2), "a": LEAF, "c": {"nodes": Count()}}
    assert columns(skeleton) == ("a", "b.0.x", "b.0.y", "b.1.x", "b.1.y", "c.nodes.count")


def test_cells_follow_paths_and_leave_out_what_is_absent() -> None:
    """A missing key, a short list and a null are empty cells; a list of plain values is joined by blanks."""
    document = {"a": ["x", 1, None], "b": [{"x": True}], "c": {"nodes": [1, 2, 3]}}
    skeleton = {"b": Many(leaves("x"), 2), "a": LEAF, "c": {"nodes": Count()}}
    assert cells(document, tuple(paths(skeleton))) == ["x 1 None", "True", "", "3"]


def test_deeper_values_are_written_as_json() -> None:
    """Lists of objects and objects at a leaf are JSON, not a language's representation."""
    assert written([{"b": 1, "a": "é"}]) == '[{"a": "é", "b": 1}]'
    assert written({"value": True}) == '{"value": true}'


@given(json_values)
def test_deformed_documents_never_break_an_export(document: Any) -> None:
    """Whatever shape a document has, it becomes one row of texts."""
    row = cells(document, tuple(paths(NODE)))
    assert len(row) == len(columns(NODE))
    assert all(isinstance(cell, str) for cell in row)


def test_count_of_what_is_no_list_is_empty() -> None:
    """Only lists are counted; an object's key of that name is not taken for a count."""
    assert find({"n": "text"}, ("n", "count")) is None
    assert find({"n": []}, ("n", "count")) == 0


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_disarmed(cell: str) -> None:
    """A text that a spreadsheet would run is marked as text."""
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "plain", "-1", "+1.5", "-1e5", "a=b", "2016-01-01"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    """Numbers and ordinary texts are not touched."""
    assert harmless(cell) == cell


def test_every_export_names_its_installation() -> None:
    """All nine exports have the pseudonym's column, and no column twice."""
    assert len(TABLES) == 9
    for table in TABLES.values():
        assert "master_node_uid" in table.header
        assert len(set(table.header)) == len(table.header)
