"""How an expectation is declared: a number that SQL measures, the band it must lie in, and what happens outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class Measure:
    """One expectation.

    Args:
        name: snake_case and stable: the trend of its results hangs on it.
        sql: an aggregate over the subject's relation that gives one number (null counts as 0).
        because: what it means when the number is outside, for people.
        severity: ``block`` keeps the publication back, ``warn`` only says so.
        maximum: largest good value; None for no limit. Most measures count bad rows: then it is 0.
        minimum: smallest good value; None for no limit.
        offender: text expression over a row of the relation that names an offending one; with ``offends`` (a condition)
            it fills the detail of a failed result. Never a value of the record itself.
    """

    name: str
    sql: str
    because: str
    severity: Severity = "block"
    maximum: float | None = 0
    minimum: float | None = None
    offends: str | None = None
    offender: str | None = None


@dataclass(frozen=True)
class Subject:
    """A relation (``from`` clause) and what is measured on it: one query, whatever the number of measures."""

    name: str
    relation: str
    measures: tuple[Measure, ...]

    def query(self) -> str:
        """One row, one column a measure."""
        columns = ", ".join(
            f"coalesce(({measure.sql})::double precision, 0) as {measure.name}" for measure in self.measures
        )
        return f"select {columns} from {self.relation}"


def bad_rows(
    name: str, condition: str, because: str, *, severity: Severity = "block", offender: str | None = None
) -> Measure:
    """The usual measure: rows for which ``condition`` holds must not exist."""
    return Measure(
        name, f"count(*) filter (where {condition})", because, severity, offends=condition, offender=offender
    )
