"""From the bytes of a body to its records: a fast way for nearly all, a careful one where the scan saw something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from ingest_api.careful import Poison, read_carefully, too_deep
from ingest_api.errors import BrokenEnvelopeError
from ingest_api.screen import Marks, Odd, Scanner


@dataclass(frozen=True, slots=True)
class Document:
    """A body that was read.

    Attributes:
        body: the text that holds ``records``, in order: as it arrived, or rebuilt without the poisoned ones.
        marks: the scan of ``body``.
        records: the parsed records (for a kind of one record, a list of one).
        positions: for each record, its position in the list as it was sent.
        poison: the records that could not be taken.
    """

    body: bytes
    marks: Marks
    records: list[Any]
    positions: Sequence[int]
    poison: list[Poison] = field(default_factory=list)


class Reader:
    """Reads bodies.

    Args:
        scanner: the screen.
        max_records: most records in one request.
    """

    def __init__(self, scanner: Scanner, max_records: int) -> None:
        self._scanner = scanner
        self.max_records = max_records

    def scan(self, body: bytes) -> Marks:
        """The screen's marks of a body."""
        return self._scanner.scan(body)

    def is_plain(self, body: bytes, marks: Marks) -> bool:
        """Whether a plain parser may be trusted with the body: nothing exotic in it, and no nesting beyond reason."""
        return not marks.odd & Odd.EXOTIC and not too_deep(body)

    def read(self, body: bytes, envelope: str, *, many: bool, marks: Marks | None = None) -> Document:
        """The records of a body; ``marks`` when it was scanned already.

        Raises:
            NotJsonError: ``not_json``, ``not_utf8``.
            BrokenEnvelopeError: ``broken_envelope``, ``too_many_records``.
        """
        marks = marks if marks is not None else self.scan(body)
        if self.is_plain(body, marks):
            try:
                parsed = orjson.loads(body)
            except orjson.JSONDecodeError:
                return self._carefully(body, envelope, many)
            records = self._records(parsed, envelope, many)
            return Document(body, marks, records, range(len(records)))
        return self._carefully(body, envelope, many)

    def _carefully(self, body: bytes, envelope: str, many: bool) -> Document:
        careful = read_carefully(body, envelope, many=many, most=self.max_records)
        records: list[Any] = []
        if careful.positions:
            records = self._records(orjson.loads(careful.body), envelope, many)
        return Document(
            careful.body, self._scanner.scan(careful.body), records, careful.positions, careful.poison
        )

    def _records(self, parsed: Any, envelope: str, many: bool) -> list[Any]:
        if not isinstance(parsed, dict) or len(parsed) != 1 or envelope not in parsed:
            raise BrokenEnvelopeError("broken_envelope", f"The body must hold {envelope!r} and nothing else.")
        content = parsed[envelope]
        if not many:
            return [content]
        if not isinstance(content, list):
            raise BrokenEnvelopeError("broken_envelope", "The envelope must hold a list.")
        if len(content) > self.max_records:
            raise self._too_many()
        return content

    def _too_many(self) -> BrokenEnvelopeError:
        return BrokenEnvelopeError(
            "too_many_records", f"A request may hold at most {self.max_records} records."
        )


def texts_of(body: bytes, envelope: str, *, many: bool) -> list[bytes]:
    """The text of each record of a (redacted) body, without parsing the records."""
    if many:
        lists = msgspec.json.decode(body, type=dict[str, list[msgspec.Raw]])
        return [bytes(raw) for raw in lists[envelope]]
    return [bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[envelope])]
