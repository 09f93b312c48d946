"""What an export is: a name, a header, and rows that are read from a snapshot one by one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from analytics_api.database import Snapshot
from analytics_api.parameters import Period

CHUNK_CHARACTERS = 64 * 1024
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Table:
    """A CSV export. ``rows`` yields the cells of each line in the header's order."""

    name: str
    header: tuple[str, ...]
    rows: Callable[[Snapshot, Period], Iterator[Sequence[str]]]

    @property
    def file_name(self) -> str:
        """The attachment's name."""
        return f"{self.name}.csv"


@dataclass
class _Buffer:
    """Collects what the csv writer writes; the writer needs nothing but ``write``."""

    parts: list[str]
    size: int = 0

    def write(self, text: str) -> int:
        self.parts.append(text)
        self.size += len(text)
        return len(text)

    def drain(self) -> bytes:
        chunk = "".join(self.parts).encode("utf-8")
        self.parts.clear()
        self.size = 0
        return chunk


def csv_chunks(table: Table, snapshot: Snapshot, period: Period) -> Iterator[bytes]:
    """The export of a period; see :func:`csv_lines`."""
    return csv_lines(table.header, table.rows(snapshot, period))


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Rows as UTF-8 CSV (RFC 4180, CRLF), in chunks of about 64 kB, the header in the first."""
    buffer = _Buffer([])
    writer = csv.writer(buffer)
    writer.writerow(header)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        if buffer.size >= CHUNK_CHARACTERS:
            yield buffer.drain()
    yield buffer.drain()


def harmless(cell: str) -> str:
    """The cell, with an apostrophe in front where a spreadsheet would take it for a formula.

    The texts come from machines that nobody vouches for. Numbers stay as they are.
    """
    if not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell
