"""What is written for one request: landings, one a node, and quarantined records."""

from __future__ import annotations

import hashlib
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

import zstandard

_local = threading.local()
#: longer quarantined texts are kept as digest and length only
QUARANTINE_PAYLOAD_LIMIT = 1_048_576


@dataclass(slots=True)
class Landing:
    """The records of one node in one request, ready to be written.

    ``keys`` are (position in the payload's list, id, subtype, digest) of the records to be remembered, one a key,
    sorted by key; ``records`` counts the payload's list; ``payload`` is a zstd frame; ``heard``: the node itself
    sent this now.
    """

    node: uuid.UUID
    uid: str
    tier: int
    records: int
    payload_bytes: int
    payload: bytes
    keys: list[tuple[int, int, str, bytes]]
    digest: bytes = b""
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """A record (or a body) for the quarantine; ``payload`` is redacted text or None when only its digest is kept."""

    kind: str
    uid: str | None
    position: int | None
    code: str
    sentence: str
    digest: bytes
    payload_bytes: int
    payload: bytes | None
    tier: int = 0


@dataclass(slots=True)
class Written:
    """What the database said: by node, the keys that were new (or, for versions, the keys seen for the first time)."""

    fresh: dict[uuid.UUID, set[Any]] = field(default_factory=dict)


def compress(text: bytes) -> bytes:
    """A zstd frame, level 1, with the content's length; the compressor is one a thread."""
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=1)
    return bytes(compressor.compress(text))


def refused(
    kind: str,
    uid: str | None,
    position: int | None,
    code: str,
    sentence: str,
    text: bytes,
    *,
    keep: bool,
    tier: int = 0,
) -> Refused:
    """A quarantine entry for a redacted text; the digest is that of the text, so the same record is kept once."""
    kept = keep and len(text) <= QUARANTINE_PAYLOAD_LIMIT
    return Refused(
        kind=kind,
        uid=uid,
        position=position,
        code=code,
        sentence=sentence,
        digest=hashlib.sha256(text).digest(),
        payload_bytes=len(text),
        payload=compress(text) if kept else None,
        tier=tier,
    )
