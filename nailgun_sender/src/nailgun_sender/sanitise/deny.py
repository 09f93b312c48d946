"""The deny-list: what must not be kept, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from . import rules
from .reveal import revealed
from .rules import Rule

# A key whose value is a secret whatever it looks like. Compared without case and punctuation.
_SECRET_KEY = re.compile(
    r"passw|pwd|passphrase|secret|token|apikey|accesskey|privatekey|credential|authoriz"
    r"|authkey|session|cookie|signature|fsid|userpass|pincode|email|hostname|fqdn"
    r"|ipaddr|macaddr|serial(?:n|$)|sshkey|publickey|pass$|kennwort|пароль|contrase"
)
_SECRET_KEY_EXACT = frozenset({"pass", "auth", "key", "pin", "ip", "mac", "login", "username", "host"})
# admin_key, admin-key, adminKey, KEY; not monkey
_SECRET_KEY_END = re.compile(r"(?:^|[\W_])(?:key|KEY|Key)$|[a-z0-9]Key$")

_WORD_RULES = (*rules.FORMED, *rules.ANYWHERE)
_TEXT_RULES = (*rules.FORMED, *rules.RANDOM, *rules.ANYWHERE, *rules.PLACES)
_PAIRS = {"[": "]", "(": ")", "{": "}"}


@lru_cache(maxsize=4096)
def clean_word(text: str) -> str:
    """Blot out what is a secret in any kind of value: credentials, addresses, URLs, keys."""
    return _blotted(text, _WORD_RULES)


def clean_text(text: str) -> str:
    """Blot out secrets in free text, where also all that looks random counts as one."""
    return _blotted(text, _TEXT_RULES)


def _blotted(text: str, chosen: Sequence[Rule]) -> str:
    """Apply the rules to what the text says, decoded; a text in which they find nothing stays as it was written."""
    text = rules.CONTROL.sub("", text)
    plain = rules.CONTROL.sub("", revealed(text))
    blotted = _applied(plain, chosen)
    if plain == text or blotted != plain:
        return blotted
    return _applied(text, chosen)


def _applied(text: str, chosen: Sequence[Rule]) -> str:
    lower = text.lower()
    if _has_one(lower, rules.PEM_HINTS):
        text = rules.PEM.sub("[key]", text)
    text = rules.LONG.sub("[long]", text)
    if _has_one(lower, rules.BLOCK_HINTS):
        text = _without_blocks(text)
    hinted: dict[tuple[str, ...], bool] = {(): True}
    for rule in chosen:
        hints = rule.hints
        if hints not in hinted:
            hinted[hints] = _has_one(lower, hints)
        if hinted[hints]:
            text = rule.pattern.sub(rule.instead, text)
    return text


def _without_blocks(text: str) -> str:
    # a secret's name before a bracket: all up to the bracket's other half, which no pattern finds in linear time
    kept, at = [], 0
    for found in rules.BLOCK.finditer(text):
        if found.start() < at:
            continue
        kept.append(text[at : found.start()])
        kept.append("[secret]")
        at = _end_of_block(text, found.end() - 1)
    return "".join(kept) + text[at:]


def _end_of_block(text: str, start: int) -> int:
    opening = text[start]
    closing, depth = _PAIRS[opening], 0
    for place in range(start, len(text)):
        if text[place] == opening:
            depth += 1
        elif text[place] == closing:
            depth -= 1
            if not depth:
                return place + 1
    return len(text)


def _has_one(lower: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110 - a generator costs more than the search
        if hint in lower:
            return True
    return False


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret by its name alone."""
    plain = revealed(key)
    lower = plain.lower()
    bare = "".join(c for c in lower if c.isalnum())
    return bool(bare in _SECRET_KEY_EXACT or _SECRET_KEY.search(bare) or _SECRET_KEY_END.search(plain))


def deny(value: Any) -> Any:
    """Return ``value`` without secrets at any depth: keys dropped, strings blotted.

    A flag or null under a secret's name stays: it says that there is one, not which.
    """
    if isinstance(value, dict):
        kept = {}
        for key, inner in value.items():
            if inner is None or isinstance(inner, bool) or not is_secret_key(key):
                kept[clean_word(key)] = deny(inner)
        return kept
    if isinstance(value, list):
        return [deny(inner) for inner in value]
    if isinstance(value, str):
        return clean_word(value)
    return value
