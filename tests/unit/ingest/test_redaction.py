"""Redaction on the bytes: complete, exact, linear, and the same with either scanner."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.redaction import Redactor, redact_text, unescape_ascii, value_end
from ingest_api.screen import HyperscanScanner, Re2Scanner, make_scanner

REDACTOR = Redactor(make_scanner())
SECRET_NAMES = ["password", "admin_key", "Radosgw_KEY", "os_passwd", "fsid", "auth_token", "SECRET", "mac", "hw_mac",
    "serial", "fqdn", "hostname", "email", "company", "pci_devices", "uuid", "client-secret-2",
    "CREDENTIAL"]  # fmt: skip
PLAIN_NAMES = ["status", "task_uuid", "host_id", "libvirt_type", "name", "keys", "machine", "ip", "tenant_id"]
TEXTS = st.text(max_size=12).filter(lambda text: "@" not in text and ":" not in text and "-" not in text)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS
# Random texts are no names that a rule looks for, although hypothesis tries words that it finds in the code.
RULES_WORDS = [
    "key", "mac", "mail", "host", "pass", "secret", "token", "credential", "cookie", "authorization", "fsid", "serial",
    "fqdn", "company", "login", "uuid", "name", "pci", "information",
]  # fmt: skip
NAMES = st.sampled_from(SECRET_NAMES + PLAIN_NAMES) | TEXTS.filter(
    lambda name: not any(word in name.lower() for word in RULES_WORDS)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def expected(value: Any) -> Any:
    """The same redaction on parsed JSON."""
    if isinstance(value, list):
        return [expected(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {name: _kept(inner) if name in SECRET_NAMES else expected(inner) for name, inner in value.items()}


def _kept(value: Any) -> Any:
    harmless = value is None or isinstance(value, bool) or value in ("", [], {})
    return value if harmless else None


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_the_bytes_are_rewritten_as_a_walk_over_the_values_would(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    """For any document and any way of writing it: parse(redact(text)) == walk(parse(text))."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert json.loads(REDACTOR.redact(text).text) == expected(json.loads(text))


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_both_scanners_see_the_same(value: Any) -> None:
    """hyperscan and re2 give the same marks."""
    text = json.dumps(value).encode()
    assert HyperscanScanner().scan(text) == Re2Scanner().scan(text) if len(text) < 400 else True
    assert Redactor(Re2Scanner()).redact(text).text == REDACTOR.redact(text).text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r'{"\u0070assword": "x"}', {"password": None}),
        (r'{"pass\u0077ord": {"deep": ["x"]}, "b": 1}', {"password": None, "b": 1}),
        (r'{"a": "\\u0070assword", "b": "x"}', {"a": "\\u0070assword", "b": "x"}),
        ('{"password"\n :\t["x", "]", "\\"]"], "b": 2}', {"password": None, "b": 2}),
        (r'{"text": "the \"password\": is 5"}', {"text": 'the "password": is 5'}),
        (
            '{"m": "ask joe.b@example.com or 00:1b:44:11:3A:B7"}',
            {"m": "ask [redacted:email] or [redacted:mac]"},
        ),
        (r'{"m": "\nb\u00f6b@x.example.org!"}', {"m": "[redacted:email]!"}),
        ('{"name": "node-7.corp.example"}', {"name": "[redacted:host]"}),
        ('{"name": "Untitled (64:AB)"}', {"name": "[redacted:host]"}),
        ('{"name": "eth0.100", "version": "2015.1.0-7.0"}', {"name": "eth0.100", "version": "2015.1.0-7.0"}),
        ('{"password": null, "a_key": true, "b_key": ""}', {"password": None, "a_key": True, "b_key": ""}),
        ('{"big": 12345678901234567890123, "a_key": 1.10}', {"big": 12345678901234567890123, "a_key": None}),
    ],
)
def test_names_and_values_that_try_to_hide(text: str, wanted: Any) -> None:
    """Escapes, spaces, nesting and letter case hide nothing; what only looks like a name is left alone."""
    assert json.loads(REDACTOR.redact(text.encode()).text) == wanted


def test_what_has_nothing_to_hide_comes_back_as_the_same_bytes() -> None:
    """No copy and no change where nothing was found."""
    text = b'{"action_logs": [{"body": {"action_name": "deploy", "cluster_id": 1.50}}]}'
    assert REDACTOR.redact(text).text is text
    assert redact_text(text) is text


@pytest.mark.parametrize(
    ("keep", "provided", "kept"), [(False, True, False), (True, False, False), (True, True, True)]
)
def test_contact_data_stays_only_when_configured_and_given(keep: bool, provided: bool, kept: bool) -> None:
    """user_information loses everything but contact_info_provided, unless both sides agree."""
    given = {"contact_info_provided": provided, "name": "J", "email": "j(at)x", "company": "C", "more": 1}
    text = json.dumps({"user_information": given}).encode()
    shown = json.loads(Redactor(make_scanner(), keep_contact=keep).redact(text).text)["user_information"]
    assert shown["contact_info_provided"] is provided
    assert ("name" in shown) is kept
    assert "more" not in shown


def test_removed_values_are_counted_by_rule() -> None:
    """Each removed value counts once, for the rule that removed it."""
    text = b'{"admin_key": "a", "mon_key": "b", "fsid": "c", "x": "00:11:22:33:44:55", "pci_devices": {"serial": "d"}}'
    removed = REDACTOR.redact(text).removed
    assert removed == {"key": 2, "fsid": 1, "mac": 1, "hardware_dump": 1}


@pytest.mark.parametrize("unit", [b"secret", b'secret\\"', b'"mac', b"a@", b"00:11:22:33:44:", b"\\u0070"])
def test_time_is_linear_whatever_the_body_holds(unit: bytes) -> None:
    """Half a megabyte of the nastiest repetitions takes well under a second."""
    text = b'{"x":"' + (unit * (500_000 // len(unit))).replace(b'"', b"'") + b'"}'
    started = time.process_time()
    REDACTOR.redact(text)
    assert time.process_time() - started < 1.5


def test_the_end_of_a_value_is_found_without_recursion() -> None:
    """Also for nesting that no parser follows, and for a value that is not closed."""
    assert value_end(b'["]", {"a": "}"}] rest', 0) == 17
    deep = b"[" * 50_000 + b"]" * 50_000
    assert value_end(deep + b",", 0) == 100_000
    assert value_end(b'{"a": [', 0) == 7
    assert value_end(b'"open', 0) == 5


def test_unescaping_touches_only_printable_ascii() -> None:
    """Quotes, backslashes, controls and non-ASCII stay escaped."""
    assert unescape_ascii(rb"\u0041\u0022\u005c\u0000\u0436\\u0041") == rb"A\u0022\u005c\u0000\u0436\\u0041"
