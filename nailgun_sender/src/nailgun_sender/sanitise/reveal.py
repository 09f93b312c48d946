"""What a text says once its disguises are off: percent signs, entities, escapes, look-alike letters."""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import unquote_to_bytes

_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_DOUBLED = re.compile(r"%(?:25)+")
_ENTITY = re.compile(r"&(?:amp;){0,8}(#x?[0-9a-fA-F]{1,6};|[a-zA-Z]{2,8};)")
_ESCAPE = re.compile(
    r"\\{1,32}(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\})"
)
_LINE_END = re.compile(r"\\{1,32}[nrt]")
_QUOTE = re.compile(r"\\{1,32}([\"'/`])")
_ROUNDS = 8


def revealed(text: str) -> str:
    """Return ``text`` as a reader of the other end would see it; itself when nothing in it is encoded.

    Percent-encoding of any depth, HTML entities, backslash escapes and compatibility forms (full-width letters,
    letters with invisible ones between) are undone, one in the other up to eight deep. ``\\n`` becomes the line end
    that it was before somebody quoted the text; one within a percent-encoded value becomes a space, since what follows
    it is part of the same value.
    """
    for _ in range(_ROUNDS):
        plain = _once(text)
        if plain == text:
            break
        text = plain
    return text


def _once(text: str) -> str:
    if "%" in text:
        text = _PERCENT.sub(_percent, _DOUBLED.sub("%", text))
    if "&" in text:
        text = _ENTITY.sub(_entity, text)
    if "\\" in text:
        text = _LINE_END.sub("\n", _ESCAPE.sub(_escape, _QUOTE.sub(r"\1", text)))
    if not text.isascii():
        # one character may stand for eighteen: no text may grow by more than we can look through
        plain = unicodedata.normalize("NFKC", text)[: 3 * len(text)]
        text = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return text


def _percent(found: re.Match[str]) -> str:
    return _harmless(unquote_to_bytes(found.group()).decode("utf-8", "replace"))


def _entity(found: re.Match[str]) -> str:
    return _plain(html.unescape("&" + found.group(1)))


def _escape(found: re.Match[str]) -> str:
    code = int(next(filter(None, found.groups())), 16)
    return _plain(chr(code)) if code < 0x110000 else "?"


def _plain(text: str) -> str:
    return "\n" if text == "\n" else _harmless(text)


def _harmless(text: str) -> str:
    # neither a line end, which would end the value, nor half a surrogate pair
    return "".join("?" if "\ud800" <= c <= "\udfff" else c if c >= " " else " " for c in text)
