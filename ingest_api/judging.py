"""Which records are good, which are unfinished, which are refused and why.

The verdict is jsonschema-rs's (Draft 4, formats not enforced); the sentence for a refused record comes from
jsonschema, on that record only, and says what the schema wanted, never what the record held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema.exceptions import ValidationError, best_match

from ingest_api.kinds import Kind

_LONGEST_WANT = 200


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record was refused: a code and a sentence without a word of the record."""

    code: str
    sentence: str


class Judge:
    """The schema of one kind and the rules beside it."""

    def __init__(self, kind: Kind) -> None:
        schema = dict(kind.schema)
        jsonschema.Draft4Validator.check_schema(schema)
        self._kind = kind
        self._rules = tuple(kind.unfinished.items())
        self._is_valid = jsonschema_rs.Draft4Validator(schema, validate_formats=False).is_valid
        listed = {"type": "array", "items": schema}
        self._all_valid = jsonschema_rs.Draft4Validator(listed, validate_formats=False).is_valid
        self._explainer = jsonschema.Draft4Validator(schema)

    def refusals(self, records: list[Any]) -> dict[int, Reason]:
        """The refused records of a list, by index; nearly always none."""
        refused: dict[int, Reason] = {}
        if not self._all_valid(records):
            for index, record in enumerate(records):
                if not self._is_valid(record):
                    refused[index] = self._explain(record)
        for member in self._kind.calendar_dates:
            for index, record in enumerate(records):
                if index not in refused and not _is_day(record.get(member, "")):
                    refused[index] = Reason("bad_date", f"{member} is not a day of the calendar.")
        return refused

    def unfinished(self, record: Mapping[str, Any]) -> bool:
        """Whether a good record is not to be remembered yet."""
        # A loop, not all(): this runs for every record, and the first rule nearly always says no.
        for path, values in self._rules:
            if _at(record, path) not in values:
                return False
        return bool(self._rules)

    def _explain(self, record: Any) -> Reason:
        error = best_match(self._explainer.iter_errors(record))
        if error is None:  # the fast validator is the stricter one here: refuse all the same
            return Reason("schema", "The record does not match the schema.")
        return Reason("schema", _sentence(error))


def _sentence(error: ValidationError) -> str:
    """Where and what the schema wanted. Names come from the schema, so nothing of the record is repeated."""
    path = ".".join(str(part) for part in error.absolute_path) or "the record"
    if error.validator == "required":
        wanted: Any = error.validator_value
        held: Any = error.instance
        known = [name for name in wanted if name not in held]
        return f"{path}: required members are missing: {', '.join(map(str, known))}"[:_LONGEST_WANT]
    if error.validator == "additionalProperties":
        return f"{path}: members that the schema does not know are not allowed"[:_LONGEST_WANT]
    return f"{path}: must satisfy {error.validator} {error.validator_value!r}"[:_LONGEST_WANT]


def _at(record: Any, path: tuple[str, ...]) -> Any:
    for member in path:
        if not isinstance(record, dict):
            return None
        record = record.get(member)
    # Containers are no listed value, and cannot be compared with one.
    return record if not isinstance(record, dict | list) else ...


def _is_day(text: Any) -> bool:
    try:
        date.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    return True
