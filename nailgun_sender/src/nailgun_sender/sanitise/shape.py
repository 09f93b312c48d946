"""A small language of allow-lists: a shape says what may be kept of a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Callable

from .deny import clean_text, clean_word

Shape = Callable[[Any], Any]


class Dropped:
    """The answer of a shape that keeps nothing of a value."""


DROP = Dropped()
_TEXT_MOST = 2000
_LAST_WORD = re.compile(r"(?<!\S)\S*\Z")


def number(value: Any) -> Any:
    """A finite number (booleans are not numbers) of at most 64 bits, or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return DROP
    if isinstance(value, float):
        return value if math.isfinite(value) else DROP
    return value if -(2**63) <= value < 2**63 else DROP


def flag(value: Any) -> Any:
    """True, false or null."""
    return value if value is None or isinstance(value, bool) else DROP


def presence(value: Any) -> bool:
    """Only whether there is something, not what."""
    return bool(value)


def text(most: int = _TEXT_MOST) -> Shape:
    """Free text, cut and blotted."""

    def keep(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, str):
            return DROP
        if len(value) > most:
            value = whole_words(value[:most])
        return clean_text(value)[:most]

    return keep


def whole_words(cut: str) -> str:
    """A text that was cut off, without its last word: half a secret does not look like one."""
    return _LAST_WORD.sub("", cut)


def word(pattern: str, most: int = 80) -> Shape:
    """A short value of a known form (``pattern`` for the whole of it), or null."""
    form = re.compile(pattern)

    def keep(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most or not form.fullmatch(value):
            return DROP
        return value if clean_word(value) == value else DROP

    return keep


def either(*shapes: Shape) -> Shape:
    """What the first shape that keeps anything keeps."""

    def keep(value: Any) -> Any:
        for shape in shapes:
            kept = shape(value)
            if kept is not DROP:
                return kept
        return DROP

    return keep


def one_of(*known: str) -> Shape:
    """One of a few known values, or null."""
    allowed = frozenset(known)
    return lambda value: value if value is None or _in(value, allowed) else DROP


def _in(value: Any, allowed: frozenset[str]) -> bool:
    return isinstance(value, str) and value in allowed


def obj(members: Mapping[str, Shape]) -> Shape:
    """An object of which the named members may be kept."""

    def keep(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return None if value is None else DROP
        kept = {}
        for name, shape in members.items():
            if name in value:
                inner = shape(value[name])
                if inner is not DROP:
                    kept[name] = inner
        return kept

    return keep


def many(shape: Shape, most: int = 10_000) -> Shape:
    """A list; elements that the shape drops are left out."""

    def keep(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return None if value is None else DROP
        inner = (shape(each) for each in value[:most])
        return [each for each in inner if each is not DROP]

    return keep


# Forms used by several allow-lists
LABEL = word(r"[A-Za-z][A-Za-z0-9_.+-]*", 64)
"""A program's own name of something: a role, a status, a mode, an operation."""

PRODUCT = word(r"[\w (][\w .,:;+\-/()@#&*]*", 120)
"""What makers print on things: a model, a version, a name of an operating system."""

IDENT = either(number, word(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", 64))
"""An identifier that a machine gave: a number, a uuid, a hash."""
