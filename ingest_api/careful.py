"""Reading a body that a plain parser refuses, or must not be trusted with, record by record.

NaN, lone surrogates, numbers that no double holds, NUL characters, nesting beyond reason: each makes a parser or
a database fail. Here the list is cut into the texts of its records without parsing them, each is judged by itself,
and the good ones are put together again, so that one bad record sinks only itself. A text that is broken in any
other way is not JSON, and the whole body is refused.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ingest_api.errors import BrokenEnvelopeError, NotJsonError
from ingest_api.redaction import value_end

#: deepest nesting of a body, the envelope's two levels included; the deepest real one has 14
MAX_DEPTH = 100
#: longest body that is read record by record: this way costs a second a megabyte when someone means harm. A node's
#: longest request has about 1.4 MB.
MAX_BYTES = 4 * 2**20
_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_NOT_KEPT = bytes(set(range(256)) - set(b'[]{}"'))
#: so that a level is peeled in one step, whatever its brackets; those that do not match are the parser's business
_ALIKE = bytes.maketrans(b"{}", b"[]")
_QUOTED = re.compile(rb'"[^"]*+"')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be taken: its position in the list as sent, why, its text, what could be read of it."""

    position: int
    code: str
    reason: str
    text: bytes
    value: Any


@dataclass(frozen=True, slots=True)
class Careful:
    """A body made of the good records only, their positions in the list as sent, and the others."""

    body: bytes
    positions: list[int]
    poison: list[Poison]


class _RefusedError(Exception):
    def __init__(self, code: str, reason: str, value: Any = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.value = code, reason, value


def too_deep(body: bytes) -> bool:
    """Whether a body nests deeper than MAX_DEPTH, without recursion.

    Of the body only brackets and the quotes around texts are kept. A text without brackets is then nothing but its two
    quotes; what is left when those are gone is peeled level by level.
    """
    text = body
    # One byte is found many times faster than two.
    if b"\\" in body:
        text = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept = text.translate(_ALIKE, _NOT_KEPT)
    left = kept.replace(b'""', b"")
    if b'"' in left:
        left = _QUOTED.sub(b"", kept)
    for _ in range(MAX_DEPTH):
        if not left:
            return False
        peeled = left.replace(b"[]", b"")
        if len(peeled) == len(left):
            break
        left = peeled
    return bool(left) and _deeper_than(body, MAX_DEPTH)


def _deeper_than(text: bytes, limit: int) -> bool:
    """Whether the text nests deeper; stops where it does."""
    return any(depth > limit for depth in depths(text))


def nesting(text: bytes) -> int:
    """The deepest level of brackets outside strings."""
    return max(depths(text), default=0)


def depths(text: bytes) -> Iterator[int]:
    """The level after each opening bracket outside strings."""
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            yield depth
        elif token in (b"}", b"]"):
            depth -= 1


def read_carefully(body: bytes, envelope: str, *, many: bool, most: int | None = None) -> Careful:
    """Cut a body into records and keep the good ones.

    Args:
        body, envelope, many: as they came.
        most: no more records than that; they are counted before the first is looked at.

    Raises:
        NotJsonError: ``not_json`` / ``not_utf8`` when the text is broken beyond a single record.
        BrokenEnvelopeError: when it is JSON, but not this envelope; ``too_many_records``; ``too_long_to_mend``.
    """
    if len(body) > MAX_BYTES:
        sentence = f"A body of more than {MAX_BYTES} bytes must be JSON that any parser reads."
        raise BrokenEnvelopeError("too_long_to_mend", sentence)
    body = body.removeprefix(_BOM)
    content = _member(body, envelope)
    texts = _elements(content, most) if many else [content]
    positions: list[int] = []
    good: list[bytes] = []
    poison: list[Poison] = []
    for position, text in enumerate(texts):
        try:
            judge_text(text)
        except _RefusedError as refused:
            poison.append(Poison(position, refused.code, refused.reason, text, refused.value))
        else:
            positions.append(position)
            good.append(text)
    inner = b"[" + b",".join(good) + b"]" if many else b"".join(good) or b"null"
    return Careful(b'{"' + envelope.encode() + b'":' + inner + b"}", positions, poison)


def judge_text(text: bytes) -> None:
    """Refuse the text of one record that some later step could not hold exactly.

    Raises:
        _RefusedError: with the code and the sentence.
        NotJsonError: when it is not JSON.
    """
    if _deeper_than(text, MAX_DEPTH - 2):
        raise _RefusedError("too_deep", f"The record nests deeper than {MAX_DEPTH} levels.")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        raise _RefusedError("not_utf8", "The record is not UTF-8.") from None
    problems: list[tuple[str, str]] = []
    value = _parse(decoded, problems)
    if any(match[1] is not None and match[1] == b"0000" for match in _ESCAPE.finditer(text)):
        problems.append(("nul_character", "The record contains the character U+0000."))
    elif _has_lone_surrogate(value):
        problems.append(("lone_surrogate", "The record contains half of a surrogate pair."))
    if problems:
        raise _RefusedError(*problems[0], value)


def _parse(text: str, problems: list[tuple[str, str]]) -> Any:
    def constant(name: str) -> float:
        problems.append(("not_a_number", f"The record contains {name}, which is not a JSON number."))
        return math.nan

    def real(digits: str) -> float:
        number = float(digits)
        if math.isinf(number) or not _same(digits, number):
            problems.append(("number_not_exact", "The record contains a number that a double cannot hold."))
        return number

    def integer(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            problems.append(("number_too_large", "The record contains an integer beyond 64 bits."))
            return 0
        return int(digits)

    try:
        return json.loads(text, parse_constant=constant, parse_float=real, parse_int=integer)
    except ValueError:
        raise NotJsonError("not_json", "The body is not JSON.") from None


def _same(digits: str, number: float) -> bool:
    """Whether the shortest text of the double says the same number as the text that was sent."""
    try:
        return Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:
        return False


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _skip(text: bytes, position: int) -> int:
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]


def _member(body: bytes, envelope: str) -> bytes:
    """The text of the envelope's only member (of its last occurrence, as every parser takes it)."""
    position = _skip(body, 0)
    if body[position : position + 1] != b"{":
        _must_be_json(body)
        raise BrokenEnvelopeError("broken_envelope", "The body must be a JSON object.")
    position = _skip(body, position + 1)
    found: bytes | None = None
    while body[position : position + 1] != b"}":
        match = _STRING.match(body, position)
        colon = _skip(body, match.end()) if match else position
        if match is None or body[colon : colon + 1] != b":":
            raise NotJsonError("not_json", "The body is not JSON.")
        start = _skip(body, colon + 1)
        end = value_end(body, start)
        if _text(match[0]) != envelope:
            raise BrokenEnvelopeError("broken_envelope", f"The body must hold {envelope!r} and nothing else.")
        found = body[start:end]
        position = _next(body, end, b"}")
    if _skip(body, position + 1) != len(body):
        raise NotJsonError("not_json", "The body is not JSON.")
    if found is None:
        raise BrokenEnvelopeError("broken_envelope", f"The body must hold {envelope!r} and nothing else.")
    return found


def _elements(content: bytes, most: int | None) -> list[bytes]:
    if content[:1] != b"[":
        with contextlib.suppress(_RefusedError):  # whatever it is, it is JSON and no list
            judge_text(content)
        raise BrokenEnvelopeError("broken_envelope", "The envelope must hold a list.")
    texts: list[bytes] = []
    position = _skip(content, 1)
    while content[position : position + 1] != b"]":
        end = value_end(content, position)
        if end == position:
            raise NotJsonError("not_json", "The body is not JSON.")
        if most is not None and len(texts) >= most:
            raise BrokenEnvelopeError("too_many_records", f"A request may hold at most {most} records.")
        texts.append(content[position:end])
        position = _next(content, end, b"]")
    return texts


def _next(text: bytes, end: int, closing: bytes) -> int:
    """Where the next element begins, or the closing bracket stands."""
    position = _skip(text, end)
    sign = text[position : position + 1]
    if sign == closing:
        return position
    if sign != b",":
        raise NotJsonError("not_json", "The body is not JSON.")
    following = _skip(text, position + 1)
    if text[following : following + 1] in (closing, b""):
        raise NotJsonError("not_json", "The body is not JSON.")
    return following


def _text(token: bytes) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return ""


def _must_be_json(body: bytes) -> None:
    try:
        json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise NotJsonError("not_utf8", "The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise NotJsonError("not_json", "The body is not JSON.") from None
