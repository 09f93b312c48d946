"""The forms that secrets have in a text, as rules of the deny-list."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Union

Instead = Union[str, Callable[["re.Match[str]"], str]]


@dataclass(frozen=True)
class Rule:
    """``pattern`` becomes ``instead``; looked for only where one of ``hints`` (lower case) is in the text.

    Time must stay linear in the text: the interpreter's lock is held meanwhile, and the text may be an attacker's.
    So every run is bounded, here or by ``LONG``, which is applied before.
    """

    pattern: re.Pattern[str]
    instead: Instead
    hints: tuple[str, ...] = ()


def _rule(pattern: str, instead: Instead, hints: tuple[str, ...] = (), flags: int = re.IGNORECASE) -> Rule:
    return Rule(re.compile(pattern, flags), instead, hints)


LONG = re.compile(r"[^\s\"']{300,}")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# PEM and its relatives: also cut off, also with escaped line ends, with the dashes of SSH2 or none
PEM = re.compile(
    r"(?:-{2,5}[ \t]{0,8})?BEGIN[\s+][A-Z0-9 +]{0,40}(?:KEY|CERTIFICATE|BLOCK|MESSAGE|PARAMETERS)"
    r"[\s\S]*?(?:END[\s+][A-Z0-9 +]{0,60}-{0,5}|\Z)"
    r"|-----\s{0,8}BEGIN[\s\S]*?(?:-----\s{0,8}END[^-]{0,80}-----|\Z)"
    r"|(?:PuTTY-User-Key-File|Private-Lines:)[\s\S]*",
    re.IGNORECASE | re.MULTILINE,
)
PEM_HINTS = ("begin", "putty", "private-lines")

_NAMES = (
    "passw", "passphrase", "pwd", "secret", "token", "key", "credential", "authorization", "x-auth", "x-service",
    "cookie", "signature", "sess", "userpass", "kennwort", "пароль", "contrase", "mot de passe", "senha", "密码",
    "密碼",
)  # fmt: skip
_NOUNS = "passw(?:or[dt]|d)?|passphrase|pwd|secret|token|kennwort|пароль|contrase[nñ]a|mot\\sde\\spasse|senha|密码|密碼"
_WORDS = (
    rf"(?:{_NOUNS}|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|x-auth-|x-service-|cookie"
    r"|signature|sess(?:ion)?[_-]?id|_key\b|auth[_-]?key|userpass)"
)
_SHORT = r"\b\w{0,40}?(?:pass|pin|pw|key|auth|creds?|login|otp|sid|community)\b"
_SHORT_HINTS = ("pass", "pin", "pw", "key", "auth", "cred", "login", "otp", "sid", "community")
_EOL = r"(?:(?!\\n|\\r)[^\r\n])*"
_LED = r"(?:[\s>|]|\\[nr]){0,40}"
_QUOTED = r"[\s\\]{0,8}[\"'`]?\]?\s{0,8}"
_SET = rf"{_QUOTED}(?:=>|[:=])"
_SAID = rf"{_QUOTED}(?:=>|[:=]|\bis\b|\bwas\b|,\s{{0,8}}u?[\"'])"
_NAMED = rf"(?:{_WORDS}[\w-]{{0,40}}{_SAID}|{_SHORT}{_SET})"
# what may stand after "password" without being one
_PLAIN = (
    "for|is|was|are|must|too|not|has|have|had|of|in|to|and|or|as|on|at|by|the|an?|with|from|does|do|can|cannot|could|should"
    "|will|may|field|file|expired|required|missing|invalid|mismatch|changed|reset|length|policy|error|failed|fails"
    "|contains?|needs?|given|provided|verification|validation|authentication|endpoint|request|store|named?|value"
)

# ``password = [`` and the like: all up to the bracket's other half goes, over lines, see ``deny``
BLOCK = re.compile(rf"{_NAMED}{_LED}[\[({{]", re.IGNORECASE)
BLOCK_HINTS = tuple(dict.fromkeys(_NAMES + _SHORT_HINTS))


def _says_something(found: re.Match[str]) -> str:
    """Base64 that decodes to plain text is what somebody wanted to hide; a word decodes to rubbish."""
    run = found.group().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        said = base64.b64decode(run[: len(run) // 4 * 4])
    except (ValueError, binascii.Error):
        return found.group()
    return "[token]" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in said) else found.group()


def _an_address(found: re.Match[str]) -> str:
    text = found.group()
    colons = text.count(":")
    return "[ip]" if "::" in text or colons >= 7 or (colons == 6 and "." in text) else text


# Order matters. What has a form of its own comes first, then what looks random (in free text only), then names with
# what follows them: a name may stand by chance within a random secret, and would save what is before it.
FORMED: Sequence[Rule] = (
    _rule(
        r"(?:\b(?:bearer|basic|digest|negotiate)(?:\s|[:=\"'`]){1,8}|(?<![\w-])token\s{1,8})[\w+/=.~-]{6,}",
        "[credential]",
        ("bearer", "basic", "digest", "negotiate", "token"),
    ),
    _rule(r"\beyJ[\w-]{5,}(?:\.[\w-]+){1,2}", "[token]", ("eyj",)),
    _rule(r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-[\w-]{1,40})\s{1,8}\S+", "[key]", ("ssh-", "ecdsa-")),
    _rule(r"\$(?:[0-9][a-z]?|apr1|y|argon2\w{0,4}|pbkdf2\w{0,20})\$\S+", "[hash]", ("$",)),
    _rule(r"\{(?:s?sha|smd5|md5|crypt|ssha)\d{0,3}\}\S+", "[hash]", ("sha", "md5", "crypt")),
    _rule(
        r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bgh[pousr]_\w+|\bxox[abp]-[\w-]+|\bglpat-[\w-]+|\b[spr]k_(?:live|test)_\w+",
        "[token]",
        flags=0,
    ),
)

# Only in free text: there, values that a database names in its errors, and what looks random, are taken for secrets.
RANDOM: Sequence[Rule] = (
    _rule(rf"\[parameters:{_EOL}", "[parameters]", ("[parameters",)),
    _rule(r"(\bKey \([^)]{1,200}\)=\().{0,300}?\)(?= |$)", r"\1…)", ("key (",), re.IGNORECASE | re.MULTILINE),
    _rule(rf"(\brow contains \(){_EOL}", r"\1…)", ("row contains",)),
    _rule(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[id]", ("-",)),
    # not the name before an equals sign: its value is what matters
    _rule(r"[a-z0-9+/]{16,}={1,2}(?=[\s,;)\]}&]|$|[\"'](?:[\s,;)\]}]|$))", "[token]", ("=",)),
    _rule(
        r"(?<![\w/.])(?=[\w+/]*[0-9])(?=[\w+/]*[A-Z])(?=[\w+/]*[a-z])[A-Za-z0-9+/]{32,}={0,2}",
        "[token]",
        flags=0,
    ),
    _rule(r"(?<![\w-])(?=[\w-]{20})(?=[a-z_-]*[0-9])(?=[0-9_-]*[a-z])[\w-]{20,}={0,2}", "[token]"),
    _rule(r"\b(?=[0-9a-f]{12})(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12,}\b", "[token]"),
    _rule(r"\b0x[0-9a-f]{6,40}\b", "[number]", ("0x",)),
    _rule(r"(?<![\w+/-])[\w+/-]{12,}={0,2}(?![\w+/-])", _says_something),
)

ANYWHERE: Sequence[Rule] = (
    # A secret's name, a separator, and what is said: the items of a list below it, a block of text, a quotation over
    # lines, else all that follows in the line. Too much is the safe side.
    _rule(rf"{_NAMED}[ \t]{{0,8}}(?:\r?\n[ \t]{{0,40}}-[^\n]*)+", "[secret]", BLOCK_HINTS),
    _rule(
        rf"{_NAMED}[ \t]{{0,8}}[|>][-+0-9]{{0,2}}[ \t]{{0,8}}(?:\r?\n[ \t]+[^\n]*)+", "[secret]", BLOCK_HINTS
    ),
    _rule(rf"{_NAMED}\s{{0,8}}u?([\"'])[^\"'\n]{{0,300}}\n[^\"']{{0,500}}\1{_EOL}", "[secret]", BLOCK_HINTS),
    _rule(rf"{_NAMED}{_LED}{_EOL}", "[secret]", BLOCK_HINTS),
    _rule(
        rf"(?:{_WORDS})[\w-]{{0,40}}\s{{1,8}}(?:for|of)\s{{1,8}}\S{{1,80}}\s{{1,8}}(?:is|was|[:=]){_EOL}",
        "[secret]",
        _NAMES,
    ),
    _rule(rf"<[\w:-]{{0,40}}?{_WORDS}[^>]{{0,200}}>[\s\S]*?(?:</|\Z)", "<[secret]</", _NAMES),
    _rule(rf"(?<![\w-])--?[\w-]{{0,40}}?{_WORDS}[\w-]{{0,40}}\s{{1,8}}{_EOL}", "[secret]", _NAMES),
    _rule(
        rf"{_WORDS}s?\s{{1,8}}(?:for\s{{1,8}}\S{{1,80}}\s{{1,8}})?[(\[{{]{{0,2}}[\"'`]{_EOL}",
        "[secret]",
        _NAMES,
    ),
    _rule(rf"\b(?:{_NOUNS})\s{{1,8}}(?!(?:{_PLAIN})\b)[^\s\[]\S*", "[secret]", _NAMES),
    # commands that take one as an argument
    _rule(r"(?<!\S)(?:-u|--user)[\s=]{1,8}\S+:\S+", "[credential]", ("-u",)),
    _rule(
        rf"\b(?:sshpass|mysql(?:dump|admin)?|mariadb|ipmitool|ldap\w{{3,8}}|smbclient)\s{{1,8}}-{_EOL}",
        "[command]",
        ("sshpass", "mysql", "mariadb", "ipmitool", "ldap", "smbclient"),
    ),
    # URLs: scheme only; anything like user:password@host; query strings
    _rule(r"\b([a-z][a-z0-9+.-]{0,40})(?:://|:\\?/\\?/)[^\s\"'<>]+", r"\1://[url]", ("/",)),
    _rule(r"[^\s\"'/@:]+:[^\s\"'/@]+@\S+", "[credential]", ("@",)),
    _rule(r"\?[\w.%\[\]-]+=[^\s\"'<>]*", "?[query]", ("?",)),
    _rule(r"\"[^\"\n]{1,64}\"@\S+", "[email]", ("@",)),
    _rule(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*", "[email]", ("@",)),
    _rule(r"[\w.+-]{1,64}\s?[\[({]at[\])}]\s?[\w.-]{1,80}", "[email]", ("(at)", "[at]", "{at}")),
    _rule(
        r"(?<![0-9a-z])[0-9a-f]{2}([:_-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4,30}(?![0-9a-z])",
        "[mac]",
        (":", "-", "_"),
    ),
    _rule(r"(?<![\w:])(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}(?![\w:])", "[mac]", (":",)),
    _rule(r"\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b", "[mac]", (".",)),
    _rule(
        r"(?<![0-9a-z])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}(?:%[\w.-]+)?(?:/\d+)?(?![0-9a-z])",
        _an_address,
        (":",),
    ),
    _rule(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d\.)(?:/\d+)?(?::\d+)?", "[ip]", (".",)),
    _rule(r"\bip(?:-\d{1,3}){4}\b", "[ip]", ("ip-",)),
)

# Only in free text: where something is, and forms that could be a list of numbers elsewhere.
PLACES: Sequence[Rule] = (
    _rule(
        r"\b(?:[a-z0-9-]{1,63}\.)+(?:com|net|org|io|ru|de|uk|fr|cn|local|lan|internal|intranet|corp|tld|localdomain|info"
        r"|edu|gov|example|test|cloud|biz|eu|us|jp|kr|br|it|es|nl|se|ch|cz|pl|ua|by|kz|tr|il|au|ca|mx|tw|hk|sg|home|site"
        r"|online|tech|systems|network)\b(?::\d+)?",
        "[host]",
        (".",),
    ),
    _rule(r"(/home/|/Users/|\\Users\\{1,4})[^/\\\s\"']+", r"\1[user]", ("/home/", "users")),
    _rule(r"(?<!\d)(?<!\d[_-])\d{1,3}([_-])\d{1,3}(?:\1\d{1,3}){2}(?![_-]?\d)", "[ip]", ("-", "_")),
    _rule(r"\b(?=[0-9 ]{0,16}[a-f])[0-9a-f]{2}(?: [0-9a-f]{2}){5}\b", "[mac]", (" ",)),
)
