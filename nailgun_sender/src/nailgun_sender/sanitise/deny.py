"""The deny-list: what must not be kept, wherever it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# A key whose value is a secret whatever it looks like. Compared without case and punctuation.
_SECRET_KEY = re.compile(
    r"passw|pwd|passphrase|secret|token|apikey|accesskey|privatekey|credential|authoriz"
    r"|authkey|session|cookie|signature|fsid|userpass|pincode|email|hostname|fqdn"
    r"|ipaddr|macaddr|serial(?:n|$)|sshkey|publickey"
)
_SECRET_KEY_EXACT = frozenset({"pass", "auth", "key", "pin", "ip", "mac", "login", "username", "host"})
_SECRET_KEY_END = re.compile(r"(?:^|_)key$")

_NAMES = (
    "passw", "passphrase", "pwd", "secret", "token", "key", "credential", "authorization", "x-auth", "x-service",
    "cookie", "signature", "session", "userpass",
)  # fmt: skip
_WORDS = (
    r"(?:passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credential|authorization|x-auth-|x-service-|cookie|signature|session[_-]?id|_key\b|auth[_-]?key|userpass)"
)
_EOL = r"(?:(?!\\n|\\r)[^\r\n])*"
_I = re.IGNORECASE


@dataclass(frozen=True)
class _Rule:
    """``pattern`` becomes ``instead``; looked for only where one of ``hints`` (lower case) is in the text.

    Time must stay linear in the text: the interpreter's lock is held meanwhile, and the text may be an attacker's.
    So every run is bounded, here or by ``_LONG``, which is applied before.
    """

    pattern: re.Pattern[str]
    instead: str
    hints: tuple[str, ...] = ()


def _rule(pattern: str, instead: str, hints: tuple[str, ...] = (), flags: int = _I) -> _Rule:
    return _Rule(re.compile(pattern, flags), instead, hints)


_LONG = re.compile(r"[^\s\"']{300,}")

# Order matters. What has a form of its own comes first, then what looks random (in free text only), then names with
# what follows them: a name may stand by chance within a random secret, and would save what is before it.
_FORMED = (
    _rule(
        r"\b(?:bearer|basic|digest|negotiate|token)\s{1,8}[\w+/=.~-]{6,}",
        "[credential]",
        ("bearer", "basic", "digest", "negotiate", "token"),
    ),
    _rule(r"\beyJ[\w-]{5,}(?:\.[\w-]+){1,2}", "[token]", ("eyj",)),
    _rule(r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-[\w-]{1,40})\s{1,8}\S+", "[key]", ("ssh-", "ecdsa-")),
    _rule(r"\$(?:[0-9][a-z]?|apr1|y|argon2\w{0,4}|pbkdf2\w{0,20})\$\S+", "[hash]", ("$",)),
    _rule(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bgh[pousr]_\w+|\bxox[abp]-[\w-]+", "[token]", flags=0),
)

# Only in free text: there, what looks random is taken for a secret.
_RANDOM = (
    _rule(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[id]", ("-",)),
    _rule(r"[a-z0-9+/]{16,}={1,2}", "[token]", ("=",)),
    _rule(
        r"(?<![\w/.])(?=[\w+/]*[0-9])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])[A-Za-z0-9+/]{32,}", "[token]", flags=0
    ),
    _rule(r"(?<![\w-])(?=[\w-]{20})(?=[a-z_-]*[0-9])(?=[0-9_-]*[a-z])[\w-]{20,}", "[token]"),
    _rule(r"\b(?=[0-9a-f]{12})(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12,}\b", "[token]"),
)

_ANYWHERE = (
    # a secret's name, a separator, and all that follows in the line: too much is the safe side
    _rule(
        rf"{_WORDS}[\w-]{{0,40}}[\s\\]{{0,8}}[\"']?\]?\s{{0,8}}(?:=>|[:=]|\bis\b|\bwas\b|,\s{{0,8}}u?[\"'])"
        rf"[\s>|]{{0,40}}{_EOL}",
        "[secret]",
        _NAMES,
    ),
    _rule(rf"<[\w:-]{{0,40}}?{_WORDS}[^>]{{0,200}}>[\s\S]*?(?:</|\Z)", "<[secret]</", _NAMES),
    _rule(rf"(?<!\S)--?[\w-]{{0,40}}?{_WORDS}[\w-]{{0,40}}\s{{1,8}}\S+", "[secret]", _NAMES),
    _rule(rf"{_WORDS}\s{{1,8}}(?:for\s{{1,8}}\S{{1,80}}\s{{1,8}})?[\"'`]{_EOL}", "[secret]", _NAMES),
    # URLs: scheme only; anything like user:password@host; query strings
    _rule(r"\b([a-z][a-z0-9+.-]{0,40})(?:://|:\\?/\\?/|%3a%2f%2f)[^\s\"'<>]+", r"\1://[url]", ("/", "%2f")),
    _rule(r"[^\s\"'/@:]+:[^\s\"'/@]+(?:@|%40)\S+", "[credential]", ("@", "%40")),
    _rule(r"\?[\w.%\[\]-]+=[^\s\"'<>]*", "?[query]", ("?",)),
    _rule(r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*", "[email]", ("@", "%40")),
    _rule(r"\b[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4,6}\b", "[mac]", (":", "-")),
    _rule(r"\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b", "[mac]", (".",)),
    _rule(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d\.)(?:/\d+)?(?::\d+)?", "[ip]", (".",)),
    _rule(r"\bip(?:-\d{1,3}){4}\b", "[ip]", ("ip-",)),
    _rule(r"(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?:%\w+)?(?:/\d+)?", "[ip]", (":",)),
    _rule(
        r"(?<![\w:])(?=[0-9a-f:]*[0-9a-f])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?"
        r"::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?(?:%\w+)?(?:/\d+)?(?![\w:])",
        "[ip]",
        ("::",),
    ),
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


_PLACES = (
    _rule(
        r"\b(?:[a-z0-9-]{1,63}\.)+(?:com|net|org|io|ru|de|uk|fr|cn|local|lan|internal|corp|tld"
        r"|localdomain|info|edu|gov|example|test)\b(?::\d+)?",
        "[host]",
        (".",),
    ),
    _rule(r"(/home/|/Users/)[^/\s\"']+", r"\1[user]", ("/home/", "/users/")),
)

# PEM blocks, also cut off, also with escaped line ends
_PEM = re.compile(r"-----\s{0,8}BEGIN[\s\S]*?(?:-----\s{0,8}END[^-]{0,80}-----|\Z)", _I)


@lru_cache(maxsize=4096)
def clean_word(text: str) -> str:
    """Blot out what is a secret in any kind of value: credentials, addresses, URLs, keys."""
    return _blotted(text, _FORMED + _ANYWHERE)


def clean_text(text: str) -> str:
    """Blot out secrets in free text, where also all that looks random counts as one."""
    return _blotted(text, _FORMED + _RANDOM + _ANYWHERE + _PLACES)


def _blotted(text: str, rules: tuple[_Rule, ...]) -> str:
    text = _CONTROL.sub("", text)
    lower = text.lower()
    if "-----" in lower:
        text = _PEM.sub("[key]", text)
    text = _LONG.sub("[long]", text)
    hinted: dict[tuple[str, ...], bool] = {(): True}
    for rule in rules:
        hints = rule.hints
        if hints not in hinted:
            hinted[hints] = _has_one(lower, hints)
        if hinted[hints]:
            text = rule.pattern.sub(rule.instead, text)
    return text


def _has_one(lower: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110 - a generator costs more than the search
        if hint in lower:
            return True
    return False


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret by its name alone."""
    lower = key.lower()
    bare = "".join(c for c in lower if c.isalnum())
    return bool(bare in _SECRET_KEY_EXACT or _SECRET_KEY.search(bare) or _SECRET_KEY_END.search(lower))


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
