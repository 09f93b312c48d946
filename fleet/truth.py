"""What the fleet knows to be true about what it sent: the expected numbers, independent of the warehouse.

The rules are those of the wire contract, section 1 ("Filtering of test builds") and section 2 (the report of
installations and the summary), written in Python so that they can be compared with what dbt publishes.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fleet.errors import FleetError
from fleet.tally import Tally, TallyStore

_OPERABLE = ("operational", "error")


@dataclass(frozen=True)
class FilterRule:
    """A released build of a release, or (both None) a release of which nothing is filtered.

    `until`: filtered until that date is past.
    """

    release: str
    build_id: str | None = None
    packages: frozenset[str] | None = None
    until: date | None = None


def read_rules(path: Path) -> list[FilterRule]:
    """The rules of a CSV file: release, build_id, packages (joined by spaces), from_date; empty means none.

    Raises:
        FleetError: `filter_rules` when the file cannot be read as such.
    """
    try:
        with path.open(newline="") as file:
            return [_rule(row) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as error:
        raise FleetError("filter_rules", f"{path} holds no filtering rules: {error}") from error


def _rule(row: dict[str, str]) -> FilterRule:
    packages, until = row["packages"].split(), row["from_date"][:10]
    return FilterRule(
        row["release"],
        row["build_id"] or None,
        frozenset(packages) if packages else None,
        date.fromisoformat(until) if until else None,
    )


def summarise(structure: Mapping[str, Any]) -> dict[str, Any]:
    """What truth needs of a structure: plain values, no identifying ones."""
    about = structure.get("fuel_release") or {}
    return {
        "uid": structure["master_node_uid"],
        "release": about.get("release"),
        "build_id": about.get("build_id"),
        "packages": structure.get("fuel_packages"),
        "clusters_num": structure["clusters_num"],
        "clusters": [
            {
                "id": cluster["id"],
                "status": cluster["status"],
                "nodes_num": cluster["nodes_num"],
                "os": cluster["release"]["os"],
                "hypervisor": cluster["attributes"].get("libvirt_type"),
                "plugins": len(cluster.get("installed_plugins") or []),
                "nodes": len(cluster["nodes"]),
            }
            for cluster in structure["clusters"]
        ],
    }


def is_filtered(summary: Mapping[str, Any], rules: Iterable[FilterRule], today: date) -> bool:
    """Whether an installation is a test build and must not enter reports (contract, section 1)."""
    by_release: dict[str, list[FilterRule]] = {}
    for rule in rules:
        by_release.setdefault(rule.release, []).append(rule)
    if not by_release:
        return False
    own = by_release.get(summary["release"] or "")
    if own is None:
        return True
    verdicts = []
    builds = {rule.build_id: rule.until for rule in own if rule.build_id is not None}
    if builds and summary["build_id"] is not None:
        verdicts.append(_verdict(builds, summary["build_id"], today))
    packages = {rule.packages: rule.until for rule in own if rule.packages is not None}
    if packages and summary["packages"] is not None:
        verdicts.append(_verdict(packages, frozenset(summary["packages"]), today))
    return any(verdicts)


def _verdict(listed: Mapping[Any, date | None], value: object, today: date) -> bool:
    if value not in listed:
        return True
    until = listed[value]
    return until is not None and today <= until


@dataclass(frozen=True)
class Truth:
    """The expected numbers of everything that the collector accepted."""

    summaries: list[dict[str, Any]]
    labels: dict[str, dict[str, int]]
    """Stored finished records by kind and label (action logs: type/name/outcome; workloads: resource type)."""
    tally: Tally

    @classmethod
    def of(cls, store: TallyStore) -> "Truth":
        """The truth about everything sent so far from a home folder."""
        kinds = ("action_logs", "oswl_stats")
        return cls(store.structures(), {kind: store.labels(kind) for kind in kinds}, store.tally())

    def report(
        self, rules: Iterable[FilterRule] = (), today: date = date.min, release: str | None = None
    ) -> dict[str, Any]:
        """What `/api/v1/json/report/installations[?release=R]` must answer."""
        known = [
            summary
            for summary in self._unfiltered(list(rules), today)
            if release is None or summary["release"] == release
        ]
        clusters = [cluster for summary in known for cluster in summary["clusters"]]
        operable = [cluster for cluster in clusters if cluster["status"] in _OPERABLE]
        return {
            "installations": {
                "count": len(known),
                "environments_num": _counts(str(summary["clusters_num"]) for summary in known),
            },
            "environments": {
                "count": len(clusters),
                "operable_envs_count": len(operable),
                "statuses": _counts(cluster["status"] for cluster in clusters),
                "nodes_num": _counts(str(cluster["nodes_num"]) for cluster in operable),
                "hypervisors_num": _counts(_lower(cluster["hypervisor"]) for cluster in operable),
                "oses_num": _counts(_lower(cluster["os"]) for cluster in operable),
            },
        }

    def summary(self, rules: Iterable[FilterRule] = (), today: date = date.min) -> dict[str, Any]:
        """What `/api/v1/json/summary` must answer."""
        good, total = len(self._unfiltered(list(rules), today)), len(self.summaries)
        kinds = self.tally.kinds
        stored = {kind: kinds[kind].added + kinds[kind].existed for kind in kinds}
        return {
            "installation_structures": {"total": total, "filtered": total - good, "not_filtered": good},
            "action_logs": {"total": stored["action_logs"]},
            "oswl_stats": {"total": stored["oswl_stats"]},
        }

    def deployments(self) -> dict[str, int]:
        """Finished `deploy` tasks by outcome (`ready`, `error`), over all installations."""
        labels = self.labels["action_logs"].items()
        return {label.rsplit("/", 1)[1]: count for label, count in labels if "/deploy/" in label}

    def as_json(self, rules: Iterable[FilterRule] = (), today: date = date.min) -> dict[str, Any]:
        """Everything, for people and scripts."""
        rules = list(rules)
        return {
            "summary": self.summary(rules, today),
            "report": self.report(rules, today),
            "deployments": self.deployments(),
            "labels": self.labels,
            "tally": self.tally.as_json(),
        }

    def _unfiltered(self, rules: list[FilterRule], today: date) -> list[dict[str, Any]]:
        return [summary for summary in self.summaries if not is_filtered(summary, rules, today)]


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))
