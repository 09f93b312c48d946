"""The deny-list: what must not be kept, wherever it stands."""

from __future__ import annotations

import re
from typing import Any

# A key whose value is a secret whatever it looks like. Compared without case and punctuation.
_SECRET_KEY = re.compile(
    r"passw|pwd|passphrase|secret|token|apikey|accesskey|privatekey|credential|authoriz"
    r"|authkey|session|cookie|signature|fsid|userpass|pincode|email|hostname|fqdn"
    r"|ipaddr|macaddr|serial|sshkey|publickey"
)
_SECRET_KEY_EXACT = frozenset(
    {"pass", "auth", "key", "pin", "ip", "mac", "login", "username", "host"}
)
_SECRET_KEY_END = re.compile(r"(?:^|_)key$")

_WORDS = (
    r"(?:passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|authorization|x-auth-\w+|x-service-\w+|cookie|signature|session[_-]?id|\w+_key"
    r"|auth[_-]?key|userpass)"
)
_EOL = r"(?:(?!\\n|\\r)[^\r\n])*"
_I = re.IGNORECASE

# Order matters: what spans lines and what contains other things comes first.
_ANYWHERE = (
    # PEM blocks, also cut off, also with escaped line ends
    (re.compile(r"-----\s*BEGIN[\s\S]*?(?:-----\s*END[^-]*-----|\Z)", _I), "[key]"),
    # a secret's name, a separator, and all that follows in the line: too much is the safe side
    (
        re.compile(
            rf"[\w-]*{_WORDS}[\w-]*[\s\\]*[\"']?\]?\s*(?:=>|[:=]|\bis\b|\bwas\b|,\s*u?[\"'])"
            rf"[\s>|]*{_EOL}",
            _I,
        ),
        "[secret]",
    ),
    (re.compile(rf"<\s*[\w:-]*{_WORDS}[\w-]*[^>]*>[\s\S]*?(?:</|\Z)", _I), "<[secret]</"),
    (re.compile(rf"--?[\w-]*{_WORDS}[\w-]*\s+\S+", _I), "[secret]"),
    (re.compile(rf"\b{_WORDS}\s+(?:for\s+\S+\s+)?[\"'`]{_EOL}", _I), "[secret]"),
    (re.compile(r"\b(?:bearer|basic|digest|negotiate|token)\s+[\w+/=.~-]{6,}", _I), "[credential]"),
    (re.compile(r"\beyJ[\w-]{5,}(?:\.[\w-]+){1,2}"), "[token]"),
    (re.compile(r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-[\w-]+)\s+\S+", _I), "[key]"),
    (re.compile(r"\$(?:[0-9][a-z]?|apr1|y|argon2\w*|pbkdf2\w*)\$\S+"), "[hash]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bgh[pousr]_\w+|\bxox[abp]-[\w-]+"), "[token]"),
    # URLs: scheme only; anything like user:password@host; query strings
    (re.compile(r"\b([a-z][a-z0-9+.-]*)(?:://|:\\?/\\?/|%3a%2f%2f)[^\s\"'<>]+", _I), r"\1://[url]"),
    (re.compile(r"[^\s\"'/@:]+:[^\s\"'/@]+(?:@|%40)\S+", _I), "[credential]"),
    (re.compile(r"\?[\w.%\[\]-]+=[^\s\"'<>]*"), "?[query]"),
    (re.compile(r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*", _I), "[email]"),
    (re.compile(r"\b[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4,6}\b", _I), "[mac]"),
    (re.compile(r"\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b", _I), "[mac]"),
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d\.)(?:/\d+)?(?::\d+)?"), "[ip]"),
    (re.compile(r"\bip(?:-\d{1,3}){4}\b", _I), "[ip]"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?:%\w+)?(?:/\d+)?", _I), "[ip]"),
    (
        re.compile(
            r"(?<![\w:])(?=[0-9a-f:]*[0-9a-f])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?"
            r"::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?(?:%\w+)?(?:/\d+)?(?![\w:])",
            _I,
        ),
        "[ip]",
    ),
)

# Only in free text: there, what looks random is taken for a secret.
_IN_TEXT = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", _I), "[id]"),
    (re.compile(r"[A-Za-z0-9+/]{16,}={1,2}"), "[token]"),
    (
        re.compile(
            r"(?<![\w/.])(?=[\w+/]*[0-9])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])[A-Za-z0-9+/]{32,}"
        ),
        "[token]",
    ),
    (re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{20,}"), "[token]"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b", _I), "[token]"),
    (
        re.compile(
            r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|ru|de|uk|fr|cn|local|lan|internal|corp|tld"
            r"|localdomain|info|edu|gov|example|test)\b(?::\d+)?",
            _I,
        ),
        "[host]",
    ),
    (re.compile(r"(/home/|/Users/)[^/\s\"']+"), r"\1[user]"),
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean_word(text: str) -> str:
    """Blot out what is a secret in any kind of value: credentials, addresses, URLs, keys."""
    text = _CONTROL.sub("", text)
    for pattern, instead in _ANYWHERE:
        text = pattern.sub(instead, text)
    return text


def clean_text(text: str) -> str:
    """Blot out secrets in free text, where also all that looks random counts as one."""
    text = clean_word(text)
    for pattern, instead in _IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def is_secret_key(key: str) -> bool:
    """Whether the value under this key is a secret by its name alone."""
    lower = key.lower()
    bare = "".join(c for c in lower if c.isalnum())
    return bool(
        bare in _SECRET_KEY_EXACT or _SECRET_KEY.search(bare) or _SECRET_KEY_END.search(lower)
    )


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
