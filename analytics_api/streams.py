"""Answers that are written while they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from analytics_api.database import Snapshot

_BATCH = 50


class Stream:
    """The body of a streamed answer.

    The first chunk is made at once, so that what goes wrong at the start (no database, nothing published, no free
    slot) is answered by a status code, not by a torn body. The server closes it when the client leaves.
    """

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._first = next(chunks, b"")

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._chunks

    def close(self) -> None:
        """Give up the snapshot that the rest would have been read from."""
        self._chunks.close()


def streamed(
    opened: AbstractContextManager[Snapshot], chunks: Callable[[Snapshot], Iterable[bytes]]
) -> Stream:
    """A stream that holds its snapshot open until it is exhausted or closed."""

    def generate() -> Generator[bytes, None, None]:
        with opened as snapshot:
            yield from chunks(snapshot)

    return Stream(generate())


def json_page(paging: dict[str, int], objects: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """``{"paging_params": …, "objs": […]}`` in chunks of some objects each."""
    head = '{"paging_params": ' + json.dumps(paging) + ', "objs": ['
    batch: list[str] = []
    separator = ""
    for found in objects:
        batch.append(separator + json.dumps(found))
        separator = ", "
        if len(batch) >= _BATCH:
            yield (head + "".join(batch)).encode()
            head = ""
            batch.clear()
    yield (head + "".join(batch) + "]}").encode()
