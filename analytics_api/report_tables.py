"""The reports that analysts read as tables, each a published dbt model, by the name that the API gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from analytics_api.database import Row, Snapshot
from analytics_api.errors import BadRequestError, NotFoundError


@dataclass(frozen=True)
class ReportTable:
    """A report.

    Attributes:
        name: in addresses.
        model: the dbt model, whose page of the documentation defines every column.
        summary: one sentence.
        columns: in the order of the answer; the key comes first, and rows are ordered by it.
        keys: how many of the columns make the key.
        day: the column that a period is applied to; None where the report has no days.
    """

    name: str
    model: str
    summary: str
    columns: tuple[str, ...]
    keys: int
    day: str | None = None

    @property
    def has_release(self) -> bool:
        """Whether the report can be asked for one release."""
        return "release" in self.columns

    def query(self, selection: Selection) -> tuple[str, dict[str, Any]]:
        """The statement and its parameters.

        Raises:
            BadRequestError: ``not_selectable``: the report knows no releases, or no days.
        """
        wanted: dict[str, Any] = {}
        conditions = []
        if selection.release:
            if not self.has_release:
                raise _not_selectable(self.name, "releases")
            conditions.append("release = :release")
            wanted["release"] = selection.release.replace("\0", "?")
        for name, sign, bound in (
            ("from_date", ">=", selection.from_date),
            ("to_date", "<=", selection.to_date),
        ):
            if bound is None:
                continue
            if self.day is None:
                raise _not_selectable(self.name, "days")
            conditions.append(f"{self.day} {sign} :{name}")
            wanted[name] = bound
        where = f" where {' and '.join(conditions)}" if conditions else ""
        listed, ordered = ", ".join(self.columns), ", ".join(self.columns[: self.keys])
        return f"select {listed} from marts.{self.model}{where} order by {ordered}", wanted

    def rows(self, snapshot: Snapshot, selection: Selection) -> Iterator[Row]:
        """The rows, by key.

        Raises:
            BadRequestError: see :meth:`query`.
        """
        statement, wanted = self.query(selection)
        yield from snapshot.stream(statement, **wanted)


@dataclass(frozen=True)
class Selection:
    """Which part of a report is wanted: of one release, from a UTC day on, up to one; all by default."""

    release: str = ""
    from_date: date | None = None
    to_date: date | None = None


def _not_selectable(name: str, what: str) -> BadRequestError:
    return BadRequestError("not_selectable", f"The report {name} is not counted by {what}.")


_COUNTED = ("release", "dimension", "item")
_TABLES = (
    ReportTable(
        "environments",
        "rpt_environment_distribution",
        "Current environments by release and one attribute at a time: operating system, hypervisor, storage, plugins…",
        (*_COUNTED, "environments", "installations"),
        3,
    ),
    ReportTable(
        "nodes",
        "rpt_node_distribution",
        "Nodes of current environments by release and one attribute at a time: roles, vendors, virtual or bare metal…",
        (*_COUNTED, "nodes", "installations"),
        3,
    ),
    ReportTable(
        "growth",
        "rpt_installation_daily",
        "Installations, environments and nodes by day of receipt.",
        ("day", "installations", "environments", "operable_environments", "nodes"),
        1,
        "day",
    ),
    ReportTable(
        "activity",
        "rpt_installation_weekly",
        "Active, new, retained, returning and lost installations by week of receipt.",
        (
            "week_start",
            "active_installations",
            "new_installations",
            "retained_installations",
            "returning_installations",
            "lost_installations",
            "is_complete",
        ),
        1,
        "week_start",
    ),
    ReportTable(
        "retention",
        "rpt_retention_cohort",
        "Share of the installations first heard from in a week that were heard from so many weeks later.",
        ("cohort_week", "weeks_since", "active_installations", "cohort_installations", "retention_rate"),
        2,
        "cohort_week",
    ),
    ReportTable(
        "upgrades",
        "rpt_upgrade_path",
        "Changes from one release to another.",
        ("from_release", "to_release", "upgrades", "installations", "median_days_before"),
        2,
    ),
    ReportTable(
        "deployments",
        "rpt_deployment",
        "Deployment attempts by release and size: durations, failures, failures before a success.",
        (
            "release",
            "size_class",
            "attempts",
            "failures",
            "successes",
            "failure_rate",
            "median_duration_seconds",
            "p95_duration_seconds",
            "mean_failures_before_success",
            "environments",
            "installations",
        ),
        2,
    ),
    ReportTable(
        "network-verification",
        "rpt_network_verification",
        "Network verifications and their results by week of the event and release.",
        (
            "week_start",
            "release",
            "verifications",
            "failures",
            "successes",
            "failure_rate",
            "environments",
            "installations",
        ),
        2,
        "week_start",
    ),
    ReportTable(
        "workloads",
        "rpt_workload_daily",
        "OpenStack resources by day and type, gaps filled.",
        (
            "stats_on_date",
            "resource_type",
            "installations",
            "environments",
            "resources",
            "added",
            "modified",
            "removed",
        ),
        2,
        "stats_on_date",
    ),
)
TABLES = {table.name: table for table in _TABLES}


def require(name: str) -> ReportTable:
    """The report of that name.

    Raises:
        NotFoundError: ``unknown_report_table``; the sentence lists what there is.
    """
    if name not in TABLES:
        listed = ", ".join(TABLES)
        raise NotFoundError("unknown_report_table", f"There is no report of that name; there are {listed}.")
    return TABLES[name]


def plain(value: Any) -> Any:
    """A database value as JSON has it: days in ISO 8601, exact numbers as numbers."""
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def cell(value: Any) -> str:
    """A database value as CSV has it: nothing for null, ``true`` and ``false``."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
