"""Random documents with planted secrets, for the property test of the sanitiser.

Each secret is a canary: a random text that appears nowhere else, so finding it (or half of it) in what is kept
proves a leak. Words that should be kept are marked the same way.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

ALNUM = string.ascii_letters + string.digits
SECRET_NAMES = (
    "password",
    "PASSWORD",
    "db_password",
    "os-password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "token",
    "auth_token",
    "X-Auth-Token",
    "api_key",
    "apiKey",
    "access_key",
    "private_key",
    "credentials",
    "Authorization",
    "passphrase",
    "session_id",
    "Cookie",
    "Set-Cookie",
    "admin_key",
    "mon_key",
    "bootstrap_osd_key",
    "radosgw_key",
    "signature",
    "X-Service-Token",
)


@dataclass
class Planted:
    """Secrets that must be gone, and words that must still be there."""

    random: random.Random
    secrets: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def secret(self, text: str) -> str:
        """Note a secret and return it."""
        self.secrets.append(text)
        return text

    def word(self) -> str:
        """A plain word that should be kept."""
        made = "keep" + "".join(self.random.choices(string.ascii_lowercase, k=7))
        self.words.append(made)
        return made


def _chars(r: random.Random, low: int, high: int, alphabet: str = ALNUM) -> str:
    return "".join(r.choices(alphabet, k=r.randint(low, high)))


def _named_value(p: Planted) -> str:
    r = p.random
    return p.secret(
        r.choice(
            (_chars(r, 6, 30), "hunter" + _chars(r, 4, 4, string.digits), _chars(r, 6, 12) + " pass phrase")
        )
    )


def _key_value(p: Planted) -> str:
    name, value = p.random.choice(SECRET_NAMES), _named_value(p)
    escaped = json.dumps(json.dumps({name: value}))
    nested = json.dumps({"message": json.dumps({"inner": {name: value}})})
    return p.random.choice(
        (
            f"{name}={value}",
            f"{name}: {value}",
            f'{{"{name}": "{value}"}}',
            f"{{'{name}': u'{value}'}}",
            escaped,
            nested,
            f"{name} = '{value}'",
            f"--{name}={value}",
            f"--{name} {value}",
            f"{name} is {value}",
            f"{name} => {value}",
            f"{name}:\n  {value}",
            f"<{name}>{value}</{name}>",
            f"('{name}', '{value}')",
            f'"{name}" , "{value}"',
        )
    )


def _bearer(p: Planted) -> str:
    r = p.random
    return f"{r.choice(('Bearer', 'bearer', 'Basic', 'Token'))} {p.secret(_chars(r, 12, 60))}"


def _jwt(p: Planted) -> str:
    part = lambda: base64.urlsafe_b64encode(p.random.randbytes(24)).decode().rstrip("=")  # noqa: E731
    return p.secret(f"eyJ{part()}.{part()}.{part()}")


def _url(p: Planted) -> str:
    r = p.random
    user, password, host = _chars(r, 5, 9), _chars(r, 6, 14), _chars(r, 6, 9, string.ascii_lowercase)
    scheme = r.choice(("http", "https", "mysql+pymysql", "amqp", "postgresql", "ftp"))
    p.secrets += [password, f"{user}:"]
    return f"{scheme}://{user}:{quote(password)}@{host}.{r.choice(('local', 'com'))}:{r.randint(1, 65535)}/db?{_query(p)}"  # noqa: E501


def _query(p: Planted) -> str:
    r = p.random
    return f"page=2&{r.choice(('token', 'sig', 'q', 'user'))}={p.secret(_chars(r, 8, 20))}"


def _relative(p: Planted) -> str:
    return f"/api/nodes/?{_query(p)}"


def _pem(p: Planted) -> str:
    body = "\n".join(p.secret(base64.b64encode(p.random.randbytes(48)).decode()) for _ in range(3))
    kind = p.random.choice(("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "CERTIFICATE"))
    whole = f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"
    return p.random.choice((whole, whole.replace("\n", "\\n")))


def _email(p: Planted) -> str:
    r = p.random
    name = _chars(r, 5, 10, string.ascii_lowercase)
    return p.secret(f"{name}.{_chars(r, 4, 8)}") + r.choice(("@example.com", "@corp", "%40mail.example.org"))


def _ipv4(p: Planted) -> str:
    r = p.random
    address = ".".join(str(r.randint(10, 250)) for _ in range(4))
    return p.secret(address) + r.choice(("", "/24", ":8080", ",", ")", "."))


def _ipv6(p: Planted) -> str:
    r = p.random
    groups = [f"{r.randint(4096, 65535):x}" for _ in range(8)]
    short = f"{groups[0]}:{groups[1]}::{groups[2]}"
    return p.secret(r.choice((":".join(groups), short, f"fe80::{groups[3]}:{groups[4]}"))) + r.choice(
        ("", "/64", "%eth0")
    )


def _mac(p: Planted) -> str:
    r = p.random
    pairs = [f"{r.randint(0, 255):02x}" for _ in range(6)]
    plain = "".join(pairs)
    forms = [":".join(pairs), "-".join(pairs).upper(), f"{plain[:4]}.{plain[4:8]}.{plain[8:]}"]
    return p.secret(r.choice(forms))


def _ssh(p: Planted) -> str:
    return f"ssh-rsa {p.secret('AAAAB3' + _chars(p.random, 60, 90))} root@fuel"


def _hash(p: Planted) -> str:
    return f"$6${p.secret(_chars(p.random, 8, 8) + '$' + _chars(p.random, 40, 60))}"


def _cephx(p: Planted) -> str:
    return p.secret("AQ" + base64.b64encode(p.random.randbytes(28)).decode())


def _random(p: Planted) -> str:
    r = p.random
    return p.secret(
        r.choice(
            (
                r.randbytes(20).hex(),
                "A1b" + _chars(r, 25, 40),
                "AKIA" + _chars(r, 16, 16, string.ascii_uppercase + string.digits),
            )
        )
    )


IN_TEXT: tuple[Callable[[Planted], str], ...] = (
    _key_value,
    _bearer,
    _jwt,
    _url,
    _relative,
    _pem,
    _email,
    _ipv4,
    _ipv6,
    _mac,
    _ssh,
    _hash,
    _cephx,
    _random,
)
IN_WORDS: tuple[Callable[[Planted], str], ...] = (
    _bearer,
    _jwt,
    _url,
    _pem,
    _email,
    _ipv4,
    _ipv6,
    _mac,
    _ssh,
    _hash,
)


def error_text(p: Planted) -> str:
    """An error message: lines of words that should be kept, and secrets between them."""
    r = p.random
    lines = [f"Traceback of {p.word()} in {p.word()}, line {r.randint(1, 999)}:"]
    for _ in range(r.randint(1, 3)):
        # what stands after a secret on its line may go with it; before it, and on other lines, all is kept
        lines += [f"{p.word()} {r.choice(IN_TEXT)(p)}", f"  {p.word()} at {p.word()}"]
    if r.random() < 0.1:
        lines.append(_pem(p)[:-30])  # cut off by our own limit: it has no end
    return "\n".join(lines)


def arbitrary(p: Planted, depth: int = 0) -> Any:
    """Any JSON value full of secrets: what an unlisted member may hold."""
    r = p.random
    if depth > 2 or r.random() < 0.4:
        return r.choice((_named_value, *IN_TEXT))(p)
    if r.random() < 0.5:
        return [arbitrary(p, depth + 1) for _ in range(r.randint(1, 3))]
    return {
        r.choice((*SECRET_NAMES, "name", "notes", _chars(r, 3, 9))): arbitrary(p, depth + 1)
        for _ in range(r.randint(1, 3))
    }


def spoil(p: Planted, value: Any, rate: float) -> Any:
    """The same document with unlisted members added at any depth and some words turned into secrets."""
    r = p.random
    if isinstance(value, dict):
        spoilt = {key: spoil(p, inner, rate) for key, inner in value.items()}
        if r.random() < rate:
            spoilt[r.choice(SECRET_NAMES) + r.choice(("", "_2"))] = _named_value(p)
        if r.random() < rate:
            spoilt["x" + _chars(r, 3, 8)] = arbitrary(p)
        return spoilt
    if isinstance(value, list):
        return [spoil(p, inner, rate) for inner in value]
    if isinstance(value, str) and r.random() < rate / 4:
        p.words = [word for word in p.words if word not in value]
        return r.choice(IN_WORDS)(p)
    return value


def leaks(p: Planted, kept: Any) -> list[str]:
    """Secrets of which the whole, or a tell-tale part of 12 characters, is in what was kept."""
    text = json.dumps(kept, ensure_ascii=False)
    found = []
    for secret in p.secrets:
        parts = {secret, json.dumps(secret)[1:-1]} | {
            secret[i : i + 12] for i in range(0, len(secret) - 12, 6)
        }
        if any(part in text for part in parts):
            found.append(secret)
    return found
