"""Random documents with planted secrets, for the property test of the sanitiser.

Each secret is a canary: a random text that appears nowhere else, so finding it, or any ten characters of it, in what
is kept, as it is or decoded, proves a leak. Words that should be kept are marked the same way.
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

from tests.unit.sender.disguises import disguised, views

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
    "adminPassword",
    "dbPass",
    "accessToken",
    "clientSecret",
    "sshPrivateKey",
    "userKey",
    "X-Subject-Token",
    "AWS_SECRET_ACCESS_KEY",
    "PHPSESSID",
    "pass",
    "pin",
    "Passwort",
    "пароль",
    "contraseña",
)

SHORT = frozenset({"pass", "pin", "dbPass", "userKey", "sshPrivateKey", "PHPSESSID"})
"""Names that are ordinary words too: only before an equals sign or a colon do they announce a secret."""

PART = 8
"""So long are the parts looked for: a shorter secret as a whole; of a longer one no ten characters can stay."""

GONE = object()
"""Stands in an expected document for a word that was turned into a secret: no shape keeps it."""


@dataclass
class Planted:
    """Secrets that must be gone, and words that must still be there."""

    random: random.Random
    secrets: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def secret(self, text: str) -> str:
        """Note a secret and return it."""
        self.secrets.append(text)
        return text

    def word(self) -> str:
        """A plain word that should be kept."""
        made = "keen" + "".join(self.random.choices("bcdfghlmnrvwxz", k=7))
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
    r = p.random
    name, value = r.choice(SECRET_NAMES), _named_value(p)
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
            f"--{name}={value}" if name in SHORT else f"--{name} {value}",
            f"{name}: is {value}" if name in SHORT else f"{name} is {value}",
            f"{name} => {value}",
            f"{name}:\n  {value}",
            f"{name}:\n  - {value}\n  - {_named_value(p)}",
            f"{name}: |\n  {value}\n  {_named_value(p)}\n",
            json.dumps({"a": {name: [value, {"b": [_named_value(p)]}]}}, indent=r.choice((None, 2)))[1:],
            f"user=admin&{name}={quote(value)}&x=1",
            f"{name}=\\n{value}",
            f"{name}: '{value[:3]}\n{p.secret(_named_value(p))}'",
            f"{name}={value}" if name in SHORT else f"<{name}>{value}</{name}>",
            f"{name}='{value}'" if name in SHORT else f"('{name}', '{value}')",
            f'"{name}": "{value}"' if name in SHORT else f'"{name}" , "{value}"',
        )
    )


def _bearer(p: Planted) -> str:
    r = p.random
    return f"{r.choice(('Bearer', 'bearer', 'Basic', 'Token'))} {p.secret(_chars(r, 12, 60))}"


def _basic(p: Planted) -> str:
    r = p.random
    pair = f"{_chars(r, 4, 8)}:{p.secret(_chars(r, 8, 16))}"
    coded = p.secret(base64.b64encode(pair.encode()).decode())
    return r.choice(
        (f"Authorization: Basic {coded}", f"sent {coded}", f"['Basic {coded}']", f"basic:{coded.rstrip('=')}")
    )


def _command(p: Planted) -> str:
    r = p.random
    password = p.secret(_chars(r, 8, 14))
    return r.choice(
        (f"sshpass -p {password} ssh node", f"mysql -uroot -p{password} nova", f"curl -u admin:{password} x")
    )


def _prose(p: Planted) -> str:
    r = p.random
    password = p.secret(_chars(r, 8, 14))
    return r.choice(
        (
            f"Invalid password {password} given",
            f"the token for admin is {password}",
            f"wrong passphrase '{password}'",
            f"secret   {password}",
            f"no such api_key '{password}'",
            f"{p.secret(_chars(r, 8, 10))}:{password}@there",
        )
    )


def _place(p: Planted) -> str:
    """Where something is: names of hosts and homes, and rarer ways to write addresses."""
    r = p.random
    name = _chars(r, 8, 12, string.ascii_lowercase)
    four = [str(r.randint(10, 250)) for _ in range(4)]
    pairs = [f"{r.randint(160, 255):02x}" for _ in range(6)]
    forms = (
        (f"{name}.", "intern.example.org"),
        ("/home/", name),
        ("-".join(four), ""),
        ("_".join(four), ""),
        (f"0x{r.randbytes(4).hex()}", ""),
        (" ".join(pairs), ""),
        (":".join(pair[1] for pair in pairs), ""),
        (f"{r.randbytes(4).hex()}-1111-2222-3333-{r.randbytes(6).hex()}", ""),
    )
    told, plain = r.choice(forms)
    p.secret(name if name in told + plain else told)
    return f"at {told}{plain}"


def _stored(p: Planted) -> str:
    r = p.random
    value = p.secret(_chars(r, 12, 18, string.ascii_letters))
    return r.choice(
        (f"{{SSHA}}{value}", f"ssh-ed25519 {value} x", f"$apr1${value}", f"ecdsa-sha2-nistp256 {value}")
    )


def _database(p: Planted) -> str:
    r = p.random
    value = p.secret(_chars(r, 8, 14, string.ascii_lowercase))
    return r.choice(
        (
            f"[SQL: insert into t values (?, ?)] [parameters: ('x', '{value}')]",
            f"DETAIL:  Key (name, cluster)=({value}, 7) already exists.",
            f"DETAIL:  Failing row contains (7, {value}, null).",
        )
    )


def _jwt(p: Planted) -> str:
    part = lambda: base64.urlsafe_b64encode(p.random.randbytes(24)).decode().rstrip("=")  # noqa: E731
    return p.secret(f"eyJ{part()}.{part()}.{part()}")


def _url(p: Planted) -> str:
    r = p.random
    user, password, host = _chars(r, 5, 9), _chars(r, 6, 14), _chars(r, 6, 9, string.ascii_lowercase)
    scheme = r.choice(("http", "https", "mysql+pymysql", "amqp", "postgresql", "ftp"))
    p.secrets += [password, f"{user}:", host]
    return f"{scheme}://{user}:{quote(password)}@{host}.{r.choice(('local', 'com'))}:{r.randint(1, 65535)}/db?{_query(p)}"  # noqa: E501


def _query(p: Planted) -> str:
    r = p.random
    return f"page=2&{r.choice(('token', 'sig', 'q', 'user'))}={p.secret(_chars(r, 8, 20))}"


def _relative(p: Planted) -> str:
    return f"/api/nodes/?{_query(p)}"


def _pem(p: Planted) -> str:
    body = "\n".join(p.secret(base64.b64encode(p.random.randbytes(48)).decode()) for _ in range(3))
    kind = p.random.choice(
        (
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
            "CERTIFICATE",
        )
    )
    dashes = p.random.choice(("-----", "-----", "---- ", ""))
    whole = f"{dashes}BEGIN {kind}{dashes[::-1]}\n{body}\n{dashes}END {kind}{dashes[::-1]}"
    return p.random.choice((whole, whole.replace("\n", "\\n")))


def _email(p: Planted) -> str:
    r = p.random
    letters = r.choice((string.ascii_lowercase, "абвгдежзик", "äöüßéèñ"))
    name = f"{_chars(r, 5, 10, letters)}.{_chars(r, 4, 8)}"
    there = r.choice(
        ("@example.com", "@corp", "%40mail.example.org", "@почта.рф", "@xn--mller-kva.de", "@müller.de")
    )
    return r.choice(
        (
            p.secret(name) + there,
            f'"{p.secret(_chars(r, 5, 9) + " x")}"@example.com',
            p.secret(name) + "(at)x.org",
        )
    )


def _ipv4(p: Planted) -> str:
    r = p.random
    address = ".".join(str(r.randint(10, 250)) for _ in range(4))
    return p.secret(address) + r.choice(("", "/24", ":8080", ",", ")", "."))


def _ipv6(p: Planted) -> str:
    r = p.random
    groups = [f"{r.randint(4096, 65535):x}" for _ in range(8)]
    four = ".".join(str(r.randint(10, 250)) for _ in range(4))
    forms = (
        ":".join(groups),
        ":".join(groups).upper(),
        f"{groups[0]}:{groups[1]}::{groups[2]}",
        f"fe80::{groups[3]}:{groups[4]}",
        f"{groups[5]}:{groups[6]}::",
        f"::ffff:{four}",
        f"64:ff9b::{four}",
    )
    address = p.secret(r.choice(forms))
    return r.choice(
        (
            address,
            f"{address}/64",
            f"{address}%eth0",
            f"[{address}]:5000",
            f"address:{address}",
            f"on_{address}",
        )
    )


def _mac(p: Planted) -> str:
    r = p.random
    pairs = [f"{r.randint(0, 255):02x}" for _ in range(6)]
    plain = "".join(pairs)
    forms = [
        ":".join(pairs),
        "-".join(pairs).upper(),
        f"{plain[:4]}.{plain[4:8]}.{plain[8:]}",
        "_".join(pairs),
    ]
    infiniband = ":".join(f"{r.randint(0, 255):02x}" for _ in range(20))
    return p.secret(r.choice((*forms, infiniband)))


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
    _key_value,
    _basic,
    _command,
    _prose,
    _place,
    _stored,
    _database,
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


def in_text(p: Planted) -> str:
    """A secret as it stands in a text, one in three of them disguised."""
    written = p.random.choice(IN_TEXT)(p)
    return disguised(p.random, written) if p.random.random() < 0.33 else written


def error_text(p: Planted) -> str:
    """An error message: lines of words that should be kept, and secrets between them."""
    r = p.random
    lines = [f"Traceback of {p.word()} in {p.word()}, line {r.randint(1, 999)}:"]
    for _ in range(r.randint(1, 3)):
        # what stands after a secret on its line may go with it; before it, and on other lines, all is kept
        lines += [f"{p.word()} {in_text(p)}", f"{p.word()} at {p.word()}"]
        p.lines.append(lines[-1])
    p.lines.append(lines[0])
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


def spoil(p: Planted, value: Any, rate: float) -> tuple[Any, Any]:
    """A document with unlisted members added at any depth and some words turned into secrets, and what it should be
    treated as: the same document without the additions, and ``GONE`` where the secrets stand.
    """
    r = p.random
    if isinstance(value, dict):
        pairs = {key: spoil(p, inner, rate) for key, inner in value.items()}
        spoilt = {key: pair[0] for key, pair in pairs.items()}
        if r.random() < rate:
            spoilt[r.choice(SECRET_NAMES) + r.choice(("", "_2"))] = _named_value(p)
        if r.random() < rate:
            spoilt["x" + _chars(r, 3, 8)] = arbitrary(p)
        return spoilt, {key: pair[1] for key, pair in pairs.items()}
    if isinstance(value, list):
        items = [spoil(p, inner, rate) for inner in value]
        return [each[0] for each in items], [each[1] for each in items]
    if isinstance(value, str) and r.random() < rate / 4:
        p.words = [word for word in p.words if word not in value]
        return r.choice(IN_WORDS)(p), GONE
    return value, value


def leaks(p: Planted, kept: Any) -> list[str]:
    """Secrets of which the whole, or any ten characters, can be read in what was kept."""
    seen = "\n".join(views(json.dumps(kept, ensure_ascii=False)))
    return [secret for secret in p.secrets if _is_told(secret, seen)]


def _is_told(secret: str, seen: str) -> bool:
    for written in {secret, json.dumps(secret, ensure_ascii=False)[1:-1]}:
        if any(written[i : i + PART] in seen for i in range(0, max(1, len(written) - PART + 1), 3)):
            return True
    return False
