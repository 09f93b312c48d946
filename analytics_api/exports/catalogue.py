"""All exports by name, and the archive that holds most of them."""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from analytics_api.database import Snapshot
from analytics_api.errors import NotFoundError
from analytics_api.exports.structures import CLUSTERS, NODES, PLUGINS
from analytics_api.exports.table import Table, csv_chunks
from analytics_api.exports.workloads import WORKLOADS
from analytics_api.parameters import Period

TABLES: dict[str, Table] = {table.name: table for table in (CLUSTERS, NODES, PLUGINS)} | WORKLOADS
ARCHIVE = "all"
NAMES = (*sorted(TABLES), ARCHIVE)
_IN_ARCHIVE = tuple(table for table in TABLES.values() if table is not NODES)
_BLOCK = tarfile.RECORDSIZE


def file_name(name: str, period: Period) -> str:
    """The attachment's name of an export."""
    if name == ARCHIVE:
        return f"reports_from{period.from_date}_to{period.to_date}.tar"
    return TABLES[name].file_name


def content_type(name: str) -> str:
    """The media type of an export."""
    return "application/x-tar" if name == ARCHIVE else "text/csv; charset=utf-8"


def require(name: str) -> str:
    """The name, if there is such an export.

    Raises:
        NotFoundError: ``unknown_export``; the sentence lists what there is.
    """
    if name not in NAMES:
        raise NotFoundError(
            "unknown_export", f"There is no export of that name; there are {', '.join(NAMES)}."
        )
    return name


def chunks(name: str, snapshot: Snapshot, period: Period) -> Iterator[bytes]:
    """The bytes of an export, a bounded part in memory at a time."""
    if name == ARCHIVE:
        return _archive_chunks(snapshot, period)
    return csv_chunks(TABLES[name], snapshot, period)


def _archive_chunks(snapshot: Snapshot, period: Period) -> Iterator[bytes]:
    """A tar of all exports but nodes. A member's size stands before it, so each waits in a file on disk."""
    for table in _IN_ARCHIVE:
        with tempfile.TemporaryFile() as file:
            for chunk in csv_chunks(table, snapshot, period):
                file.write(chunk)
            yield from _member_chunks(table.file_name, file)
    yield tarfile.NUL * (2 * tarfile.BLOCKSIZE)


def _member_chunks(name: str, file: IO[bytes]) -> Iterator[bytes]:
    member = tarfile.TarInfo(name)
    member.size = file.seek(0, io.SEEK_END)
    member.mtime = int(time.time())
    file.seek(0)
    yield member.tobuf(tarfile.PAX_FORMAT)
    while chunk := file.read(_BLOCK):
        yield chunk
    yield tarfile.NUL * (-member.size % tarfile.BLOCKSIZE)
