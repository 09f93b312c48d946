"""Redaction: what a node should never have sent is removed from the bytes before they are stored anywhere.

The rewrite works on the text itself, at the places that the screen marked: numbers keep their digits, the list keeps
its positions, and nothing is parsed and printed again. A removed value becomes ``null``; a MAC address or an e-mail
address inside a longer text becomes ``[redacted:mac]`` / ``[redacted:email]``.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import re2

from ingest_api.screen import Marks, Odd, Scanner, make_scanner

_SPACE = re.compile(rb"\s*")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]*+")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
#: values that say nothing
_HARMLESS = (b"null", b"true", b"false", b'""', b"[]", b"{}")
_CONTACT_MEMBERS = ("name", "email", "company")


def _linear(pattern: bytes) -> re2._Regexp[bytes]:
    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern, options)


_MAC = _linear(rb"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}")
# Escapes count as part of the local part, so that none is ever cut in two.
_EMAIL = _linear(rb"(?:\\u[0-9a-f]{4}|\\[^u]|[a-z0-9._%+\x80-\xff-])+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}")
_HOST = _linear(rb'("name"\s*:\s*")(?:[a-z0-9_-]+\.){2,}[a-z]{2,}(")|untitled \([0-9a-f]{2}:[0-9a-f]{2}\)')


@dataclass(frozen=True, slots=True)
class Redacted:
    """The text without what must not be stored, and how many values each rule removed."""

    text: bytes
    removed: Mapping[str, int] = field(default_factory=dict)


class Redactor:
    """Applies the rules.

    Args:
        scanner: finds the places.
        keep_contact: keep name, e-mail and company of ``user_information`` where the node says that contact data
            was given (``contact_info_provided``). Off by default.
    """

    def __init__(self, scanner: Scanner, *, keep_contact: bool = False) -> None:
        self._scanner = scanner
        self._keep_contact = keep_contact

    def redact(self, text: bytes, marks: Marks | None = None) -> Redacted:
        """Redact valid JSON text; ``marks`` are those of an earlier scan of exactly this text.

        The same bytes come back when there was nothing to remove.
        """
        marks = marks if marks is not None else self._scanner.scan(text)
        if marks.clean:
            return Redacted(text)
        if marks.odd & Odd.ESCAPED_ASCII:
            text = unescape_ascii(text)
            marks = self._scanner.scan(text)
        removed: Counter[str] = Counter()
        if marks.values:
            text = self._cut_values(text, marks, removed)
        if marks.odd & Odd.MAC:
            text, count = _MAC.subn(b"[redacted:mac]", text)
            removed["mac"] += count
        if marks.odd & Odd.EMAIL:
            text, count = _EMAIL.subn(b"[redacted:email]", text)
            removed["email"] += count
        if marks.odd & Odd.HOST:
            text, count = _HOST.subn(rb"\1[redacted:host]\2", text)
            removed["host_name"] += count
        return Redacted(text, removed)

    def _cut_values(self, text: bytes, marks: Marks, removed: Counter[str]) -> bytes:
        pieces: list[bytes] = []
        done = 0
        for position, rule in marks.values:
            if position < done:
                continue
            start = _SPACE.match(text, position).end()  # type: ignore[union-attr]
            end = value_end(text, start)
            value = text[start:end]
            if value in _HARMLESS:
                continue
            kept = self._contact(value) if rule == "contact" else b"null"
            if kept == value:
                continue
            pieces += (text[done:start], kept)
            done = end
            removed[rule] += 1
        pieces.append(text[done:])
        return b"".join(pieces)

    def _contact(self, value: bytes) -> bytes:
        """What stays of ``user_information``: whether contact data was given, and the data only when allowed."""
        try:
            given = orjson.loads(value)
        except orjson.JSONDecodeError:
            return b"null"
        if not isinstance(given, dict):
            return b"null"
        provided = given.get("contact_info_provided")
        kept = {"contact_info_provided": provided} if isinstance(provided, bool) else {}
        if self._keep_contact and provided is True:
            kept.update({name: given[name] for name in _CONTACT_MEMBERS if name in given})
        return orjson.dumps(kept)


@functools.cache
def _default_redactor() -> Redactor:
    return Redactor(make_scanner())


def redact_text(text: bytes) -> bytes:
    """Redact one JSON text by the collector's default rules (no contact data kept): for imports of older data."""
    return _default_redactor().redact(text).text


def value_end(text: bytes, start: int) -> int:
    """Where the JSON value that begins at ``start`` ends (exclusive), without recursion.

    The text's end when the value is not closed.
    """
    first = text[start : start + 1]
    if first == b'"':
        match = _STRING.match(text, start)
        return match.end() if match else len(text)
    if first not in (b"{", b"["):
        return _SCALAR.match(text, start).end()  # type: ignore[union-attr]
    depth = 0
    for match in _TOKEN.finditer(text, start):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if not depth:
                return match.end()
    return len(text)


def unescape_ascii(text: bytes) -> bytes:
    """The same JSON with printable ASCII written as itself: no name can hide behind ``\\u0070assword``."""

    def plain(match: re.Match[bytes]) -> bytes:
        digits = match[1]
        if digits is None:
            return match[0]
        code = int(digits, 16)
        if 0x20 <= code < 0x7F and code not in (0x22, 0x5C):
            return bytes((code,))
        return match[0]

    return _ESCAPE.sub(plain, text)
