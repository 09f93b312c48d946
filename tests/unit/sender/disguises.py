"""Ways to write the same text so that it does not look like itself, and ways to look through them.

The looking is done with other means than the sanitiser's own, so that a mistake in the one is seen by the other.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import random
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}")


def _percent(r: random.Random, text: str) -> str:
    return quote(text, safe="")


def _percent_all(r: random.Random, text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _percent_deep(r: random.Random, text: str) -> str:
    for _ in range(r.randint(2, 4)):
        text = quote(text, safe="")
    return text


def _json_escapes(r: random.Random, text: str) -> str:
    if "\\" in text:
        return json.dumps(text)  # no encoder escapes the half of an escape
    escaped = "".join(f"\\u{ord(c):04x}" if r.random() < 0.5 and ord(c) < 65536 else c for c in text)
    return f'"{escaped}"'.replace("\n", "\\n")


def _json_in_json(r: random.Random, text: str) -> str:
    for _ in range(r.randint(1, 3)):
        text = json.dumps({"detail": text})
    return text


def _python_escapes(r: random.Random, text: str) -> str:
    if "\\" in text:
        return repr(text)
    return "".join(f"\\x{ord(c):02x}" if ord(c) < 256 and r.random() < 0.5 else c for c in text)


def _entities(r: random.Random, text: str) -> str:
    if r.random() < 0.5:
        return html.escape(text)
    return "".join(f"&#{ord(c)};" if r.random() < 0.5 else c for c in text)


def _base64(r: random.Random, text: str) -> str:
    encode = r.choice((base64.b64encode, base64.urlsafe_b64encode))
    return encode(text.encode()).decode().rstrip(r.choice(("=", "")))


def _full_width(r: random.Random, text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _invisible(r: random.Random, text: str) -> str:
    return "".join(c + r.choice(("", "\u200b", "\u00ad", "\u2060")) for c in text)


DISGUISES: tuple[Callable[[random.Random, str], str], ...] = (
    _percent,
    _percent_all,
    _percent_deep,
    _json_escapes,
    _json_in_json,
    _python_escapes,
    _entities,
    _base64,
    _full_width,
    _invisible,
)


def disguised(r: random.Random, text: str) -> str:
    """The text in one of the disguises."""
    return r.choice(DISGUISES)(r, text)


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\+(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})",
        lambda found: codecs.decode("\\" + found.group(1), "unicode_escape"),
        text,
    )


def _narrow(text: str) -> str:
    if text.isascii():
        return text
    return "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in text)


def _decoded_runs(text: str) -> str:
    found = []
    for run in _RUN.findall(text):
        standard = run.replace("-", "+").replace("_", "/")
        try:
            found.append(base64.b64decode(standard[: len(standard) // 4 * 4]).decode("utf-8", "ignore"))
        except binascii.Error:
            continue
    return "\n".join(found)


def views(text: str) -> list[str]:
    """What a curious reader can make of a text: itself, and decoded in each way, however deep."""
    bare = re.sub("[\u200b\u00ad\u2060]", "", _narrow(text))
    deep, before = bare, ""
    while deep != before:
        deep, before = _unescaped(html.unescape(unquote(deep))), deep
    plain = list(dict.fromkeys((text, bare, deep)))
    return [*plain, *map(_decoded_runs, plain)]
