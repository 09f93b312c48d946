"""What is written for one request: landings, one a node, and quarantined records."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

_local = threading.local()
#: longer quarantined texts are kept as digest and length only
QUARANTINE_PAYLOAD_LIMIT = 1_048_576


@dataclass(slots=True)
class Landing:
    """The records of one node in one request, ready to be written.

    The records to be remembered, one a key, are told by columns: ``places`` in the payload's list, ``ids`` and, for a
    ledger of versions, ``subtypes`` and ``digests``. ``records`` counts the payload's list; ``payload`` is a zstd
    frame; ``digest`` is that of the whole body, for a ledger of latest records; ``heard``: the node itself sent this
    now.
    """

    node: uuid.UUID
    uid: str
    tier: int
    records: int
    payload_bytes: int
    payload: bytes
    places: Sequence[int]
    ids: Sequence[int] = ()
    subtypes: Sequence[str] = ()
    digests: Sequence[bytes] = ()
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
