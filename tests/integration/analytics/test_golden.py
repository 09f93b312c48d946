"""Each endpoint against what the original answered on the same tables.

Expected differences: uids are pseudonyms; the exports write JSON where the original wrote Python.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fuel_stat.identity import installation_key
from tests.integration.analytics import golden
from tests.integration.analytics.server import Server

pytestmark = pytest.mark.slow

WHOLE = {"from_date": "2015-01-01", "to_date": "2017-01-01"}
THREE_MONTHS = {"from_date": "2016-02-01", "to_date": "2016-04-30"}
WORKLOADS = ("vm", "volume", "image", "flavor", "tenant", "keystone_user")


@pytest.mark.parametrize(
    ("release", "name"), [("", "installations"), ("9.0", "installations-9.0"), ("xxx", "installations-xxx")]
)
def test_report_of_installations_is_the_originals(
    golden_api: Server, recorded: Path, release: str, name: str
) -> None:
    """Counts and distributions equal the original's, for all, one and an unknown release."""
    expected = json.loads(golden.output(recorded, f"{name}.json"))
    assert golden_api.get("json/report/installations", params={"release": release}).json() == expected


def test_summary_is_the_originals(golden_api: Server, recorded: Path) -> None:
    """The totals equal the original's."""
    expected = json.loads(golden.output(recorded, "summary.json"))
    assert golden_api.get("json/summary").json() == expected


def export(server: Server, name: str, period: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    response = server.get(f"csv/{name}", params=period)
    assert response.status_code == 200, response.text
    return golden.cells(response.content)


def comparable(
    recorded: Path, pepper: bytes, header: list[str], rows: list[list[str]], *, original: bool
) -> Counter[tuple[str, ...]]:
    """Rows without what is expected to differ."""
    drop = {"attributes.repos", "attributes.volumes_block_device"}
    positions = [i for i, name in enumerate(header) if name not in drop]
    uid = header.index("master_node_uid")
    if original:
        rows = [[*row[:uid], str(installation_key(pepper, row[uid])), *row[uid + 1 :]] for row in rows]
    if "modification_date" in header:
        rows = [_without_empty_change(header, row) for row in rows]
    return Counter(tuple(row[i].lstrip("'") for i in positions) for row in rows)


def _without_empty_change(header: list[str], row: list[str]) -> list[str]:
    """What was modified in the moment it was made (one of 80) reported once: it has no modification here."""
    made, changed = header.index("creation_date"), header.index("modification_date")
    return [*row[:changed], "" if row[changed] == row[made] else row[changed], *row[changed + 1 :]]


@pytest.mark.parametrize(
    ("name", "golden_name", "period"),
    [
        *((name, name, WHOLE) for name in ("clusters", "nodes", "plugins", *WORKLOADS)),
        ("clusters", "clusters-3-months", THREE_MONTHS),
        ("vm", "vm-3-months", THREE_MONTHS),
    ],
)
def test_exports_have_the_originals_cells(
    golden_api: Server, recorded: Path, pepper: bytes, name: str, golden_name: str, period: dict[str, str]
) -> None:
    """Header and all rows equal the original's, as sets, but for the expected differences."""
    header, rows = export(golden_api, name, period)
    expected_header, expected = golden.cells(golden.output(recorded, f"{golden_name}.csv"))
    assert header == expected_header
    mine = comparable(recorded, pepper, header, rows, original=False)
    theirs = comparable(recorded, pepper, header, expected, original=True)
    missing, added = list((theirs - mine).elements()), list((mine - theirs).elements())
    assert (len(missing), len(added)) == (0, 0), _first_difference(header, missing, added)


def _first_difference(header: list[str], missing: list[Any], added: list[Any]) -> str:
    return f"{len(missing)} missing, {len(added)} added; first: {missing[:1]} {added[:1]}"


def test_python_representations_became_json(golden_api: Server) -> None:
    """What the original wrote as Python dictionaries is JSON here."""
    header, rows = export(golden_api, "clusters", WHOLE)
    for name in ("attributes.repos", "attributes.volumes_block_device"):
        found = [row[header.index(name)] for row in rows if row[header.index(name)].startswith(("{", "["))]
        assert found
        assert all(isinstance(json.loads(cell), dict | list) for cell in found)
        assert not any(re.search(r"\bu'", cell) for cell in found)


def test_filtered_installations_are_the_originals(golden_api: Server, recorded: Path, pepper: bytes) -> None:
    """The list holds the same installations with the same structures, under their pseudonyms."""
    expected = json.loads(golden.output(recorded, "filtered.json"))
    found = golden_api.get("json/installation_infos/filtered").json()
    assert found["paging_params"] == expected["paging_params"]
    by_uid = {item["master_node_uid"]: item for item in found["objs"]}
    for item in expected["objs"]:
        mine = by_uid[str(installation_key(pepper, item["master_node_uid"]))]
        assert golden.without_uid(mine["structure"]) == golden.without_uid(item["structure"])
        assert (mine["creation_date"], mine["release"]) == (item["creation_date"], item["release"])
        assert mine["is_filtered"] is True
