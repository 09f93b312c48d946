"""The truth's rules of filtering and counting (contract, sections 1 and 2), on rows written by hand."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import FleetError
from fleet.tally import Tally
from fleet.truth import FilterRule, Truth, is_filtered, read_rules

TODAY = date(2026, 11, 23)


def summary(release: str | None = "9.0", build: str | None = None, packages: list[str] | None = None) -> Any:
    clusters = [
        {
            "status": "operational",
            "nodes_num": 3,
            "os": "Ubuntu",
            "hypervisor": "KVM",
            "plugins": 0,
            "nodes": 3,
        },
        {"status": "new", "nodes_num": 1, "os": "CentOS", "hypervisor": "qemu", "plugins": 0, "nodes": 1},
        {"status": "error", "nodes_num": 3, "os": None, "hypervisor": None, "plugins": 0, "nodes": 3},
    ]
    return {
        "release": release,
        "build_id": build,
        "packages": packages,
        "clusters_num": 3,
        "clusters": clusters,
    }


@pytest.mark.parametrize(
    ("installation", "rules", "expected"),
    [
        (summary("9.0"), [], False),
        (summary("9.9"), [FilterRule("9.0")], True),
        (summary(None), [FilterRule("9.0")], True),
        (summary("9.0", "b1"), [FilterRule("9.0")], False),
        (summary("7.0", "b1"), [FilterRule("7.0", "b1")], False),
        (summary("7.0", "b2"), [FilterRule("7.0", "b1")], True),
        (summary("7.0", "b1"), [FilterRule("7.0", "b1", until=TODAY)], True),
        (summary("7.0", "b1"), [FilterRule("7.0", "b1", until=date(2026, 11, 22))], False),
        (summary("8.0", None, ["a", "b"]), [FilterRule("8.0", packages=frozenset("ab"))], False),
        (summary("8.0", None, ["a"]), [FilterRule("8.0", packages=frozenset("ab"))], True),
        (
            summary("8.0", "b1", ["a"]),
            [FilterRule("8.0", "b1"), FilterRule("8.0", packages=frozenset("b"))],
            True,
        ),
    ],
)
def test_filtering(installation: Any, rules: list[FilterRule], expected: bool) -> None:
    """Absent release filtered; no rules not; listed not, unless its date has not passed; both: either says so."""
    assert is_filtered(installation, rules, TODAY) is expected


def test_report_counts_operable_environments_only_where_the_contract_says_so() -> None:
    """Sizes, hypervisors and systems count operational and error environments, in lower case, without nulls."""
    truth = Truth(
        [summary()], {"action_logs": {"nailgun_task/deploy/error": 2}, "oswl_stats": {}}, Tally("", 1, {})
    )
    assert truth.report() == {
        "installations": {"count": 1, "environments_num": {"3": 1}},
        "environments": {
            "count": 3,
            "operable_envs_count": 2,
            "statuses": {"error": 1, "new": 1, "operational": 1},
            "nodes_num": {"3": 2},
            "hypervisors_num": {"kvm": 1},
            "oses_num": {"ubuntu": 1},
        },
    }
    assert truth.report(release="x")["installations"] == {"count": 0, "environments_num": {}}
    assert truth.deployments() == {"error": 2}


def test_rules_are_read_from_the_seed(tmp_path: Path) -> None:
    """Builds, package sets, dates and releases without rules are told apart; another file is told in a sentence."""
    path = tmp_path / "rules.csv"
    path.write_text("release,build_id,packages,from_date\n7.0,b1,,2026-01-31 00:00:00\n8.0,,a b,\n9.0,,,\n")
    assert read_rules(path) == [
        FilterRule("7.0", "b1", until=date(2026, 1, 31)),
        FilterRule("8.0", packages=frozenset("ab")),
        FilterRule("9.0"),
    ]
    path.write_text("something,else\n1,2\n")
    with pytest.raises(FleetError, match=r"rules\.csv"):
        read_rules(path)
