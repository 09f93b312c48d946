"""From a landed request to its records: which positions it contributes, without the node's uid.

Nothing is validated or joined here: the collector decided what is new and noted it in ``taken``. Records stay the
JSON text that was landed; only the top level is opened, to leave out ``master_node_uid``.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import zstandard

from warehouse.errors import ExpansionError

UID_MEMBER = "master_node_uid"
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
# Shorter uids are replaced only where they are a whole JSON string: "7" would be found in every number.
SHORTEST_EMBEDDED_UID = 8
UNREADABLE_MEMBER = "_unreadable"

_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_VALUES = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.Encoder().encode
_ESCAPES = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)")
_NUMBER_LIKE = re.compile(r"[0-9eE+.\-]*")


@dataclass(frozen=True)
class Landing:
    """One row of ``collector.landing``: ``payload`` is a zstd frame, ``received_at`` microseconds since 2000 (UTC)."""

    landing_id: bytes
    received_at: int
    uid: str
    kind: str
    tier: int
    records: int
    taken: Sequence[int] | None
    payload: bytes

    @property
    def positions(self) -> Sequence[int]:
        """Positions (0-based) in the document's list of the records that this landing contributes."""
        return range(self.records) if self.taken is None else self.taken


def expand(landing: Landing, key: uuid.UUID) -> Iterator[tuple[int, bytes]]:
    """The records that a landing contributes, each with its position, as JSON text without the node's uid.

    Args:
        landing: the landed request.
        key: the pseudonym that takes the uid's place wherever else the uid stands in a record.

    Raises:
        ExpansionError: ``bad_frame`` (not zstd), ``bad_document`` (not JSON of the expected form),
            ``position_out_of_range`` (``taken`` names a record that is not there).
    """
    document = _document(landing)
    records = _records(landing, document)
    scrub = _Scrubber(landing.uid, key, escapes=b"\\" in document)
    for position in landing.positions:
        if position >= len(records):
            raise ExpansionError(
                "position_out_of_range",
                f"landing {uuid.UUID(bytes=landing.landing_id)} takes record {position} of {len(records)}",
            )
        record = records[position]
        if isinstance(record, dict):
            record.pop(UID_MEMBER, None)
            text = _ENCODE(record)
        else:
            text = bytes(record)
        yield position, scrub(text)


def unreadable(reason: str) -> bytes:
    """What stands in raw for a record that cannot be stored as it is, so that every count stays right."""
    return msgspec.json.encode({UNREADABLE_MEMBER: reason})


def _records(landing: Landing, document: bytes) -> Sequence[dict[str, msgspec.Raw] | msgspec.Raw]:
    try:
        return _opened(landing, document)
    except ExpansionError:
        # A lone surrogate is read by no strict decoder: without it the neighbours can be read as they are.
        mended = _ESCAPES.sub(_unescaped, document)
        if mended == document:
            raise
        return _opened(landing, mended)


def _opened(landing: Landing, document: bytes) -> Sequence[dict[str, msgspec.Raw] | msgspec.Raw]:
    try:
        if document[:1] == b"[":
            return _list(document)
        members = _MEMBERS.decode(document)
        own = members.get(landing.kind)
        if own is not None:
            inner = bytes(own).strip()
            return _list(inner) if inner[:1] == b"[" else [_MEMBERS.decode(inner)]
        lists = [value for value in members.values() if bytes(value).lstrip()[:1] == b"["]
        if landing.records == 1 and not len(lists) == len(members) == 1:
            return [members]
        if len(lists) == 1:
            return _list(bytes(lists[0]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExpansionError("bad_document", f"the landed document cannot be read: {error}") from error
    raise ExpansionError("bad_document", "the landed document has no single list of records")


def _list(text: bytes) -> Sequence[dict[str, msgspec.Raw] | msgspec.Raw]:
    try:
        return _OBJECTS.decode(text)
    except msgspec.ValidationError:
        return _VALUES.decode(text)


# Making a decompressor costs twice what decompressing does, and one must not serve two threads at once.
_local = threading.local()


def _decompressor() -> zstandard.ZstdDecompressor:
    made: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if made is None:
        made = _local.decompressor = zstandard.ZstdDecompressor()
    return made


def _document(landing: Landing) -> bytes:
    try:
        size = zstandard.frame_content_size(landing.payload)
        if 0 <= size <= MAX_DOCUMENT_BYTES:
            document = _decompressor().decompress(landing.payload)
        else:
            # A frame that does not say its size, or says too much: read no further than the limit.
            with zstandard.ZstdDecompressor().stream_reader(landing.payload) as reader:
                document = reader.read(MAX_DOCUMENT_BYTES + 1)
    except zstandard.ZstdError as error:
        raise ExpansionError("bad_frame", f"the landed payload is not a zstd frame: {error}") from error
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ExpansionError("bad_frame", f"the landed document is larger than {MAX_DOCUMENT_BYTES} bytes")
    return document.strip()


class _Scrubber:
    """Replaces the uid in a record's text, and what ``jsonb`` cannot hold.

    ``escapes``: whether there is any backslash in the document; where there is none, no record is searched for one.
    """

    def __init__(self, uid: str, key: uuid.UUID, *, escapes: bool) -> None:
        self._escapes = escapes
        quoted = msgspec.json.encode(uid)
        embeddable = len(uid) >= SHORTEST_EMBEDDED_UID and not _NUMBER_LIKE.fullmatch(uid)
        self._needle = quoted[1:-1] if embeddable else quoted
        self._pseudonym = str(key).encode() if embeddable else b'"%s"' % str(key).encode()

    def __call__(self, text: bytes) -> bytes:
        if self._escapes and (b"\\u" in text or b"\\/" in text):
            text = _ESCAPES.sub(_unescaped, text)
        if self._needle in text:
            text = text.replace(self._needle, self._pseudonym)
        return text


def _unescaped(match: re.Match[bytes]) -> bytes:
    """The shortest JSON form of an escape; NUL and lone surrogates, which jsonb refuses, become U+FFFD."""
    escape = match.group()
    if escape == b"\\/":
        return b"/"
    if escape[1:2] != b"u":
        return escape
    try:
        character: str = msgspec.json.decode(b'"%s"' % escape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "\ufffd".encode()
    if character == "\x00":
        return "\ufffd".encode()
    return msgspec.json.encode(character)[1:-1]
