"""Bodies that pass a schema and break a parser or a database: each has a stated answer, none sinks its neighbours."""

from __future__ import annotations

import gzip
import json
import secrets
from typing import Any

import pytest

from tests.integration.ingest.conftest import Collector
from tests.integration.ingest.samples import action, structure, workload

DEEP = "[" * 20_000 + "]" * 20_000
MARK = '"MARK"'
# The text that stands in a record's body at "extra", and the code of the quarantine (None: the record is taken).
IN_A_RECORD = {
    "nul": (r'"a\u0000b"', "nul_character"),
    "escaped_backslash_before_u0000": (r'"a\\u0000b"', None),
    "lone_surrogate": (r'"a\ud800b"', "lone_surrogate"),
    "surrogate_pair": (r'"\ud83d\ude00"', None),
    "integer_of_64_bits": ("18446744073709551615", None),
    "integer_beyond_64_bits": ("18446744073709551616", "number_too_large"),
    "integer_of_a_thousand_digits": ("1" * 1000, "number_too_large"),
    "infinite": ("1e999", "number_not_exact"),
    "exponent": ("1.5e3", None),
    "seventeen_digits": ("0.12345678901234568", None),
    "more_digits_than_a_double": ("0.1000000000000000055", "number_not_exact"),
    "nan": ("NaN", "not_a_number"),
    "infinity": ("-Infinity", "not_a_number"),
    "duplicate_keys": ('{"a":1,"a":2}', None),
    "nesting_of_20000": (DEEP, "too_deep"),
    "nesting_of_200": ("[" * 200 + "]" * 200, "too_deep"),
    "nesting_of_50": ("[" * 50 + "]" * 50, None),
    "brackets_in_a_text": ('"[[[[{{{{"', None),
    "a_megabyte": ('"' + "x" * 1_000_000 + '"', None),
}


def body_with(kind: str, records: list[Any], text: str) -> bytes:
    """The request's body with ``text`` in place of the mark."""
    return json.dumps({kind: records}).replace(MARK, text).encode()


def posted(collector: Collector, kind: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer, which is always JSON with a status."""
    answer = collector.client.post(
        f"/api/v1/{kind}/", content=body, headers={"content-type": "application/json", **headers}
    )
    shown = answer.json()
    assert shown["status"] == ("ok" if answer.status_code < 400 else "error")
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, shown


@pytest.mark.parametrize("case", IN_A_RECORD)
def test_poison_in_one_record_sinks_only_that_record(collector: Collector, case: str) -> None:
    """The neighbours are added, the record is added or failed as stated; alone and failed it is 400; kept once."""
    text, code = IN_A_RECORD[case]
    uid = f"poison-{case}-{secrets.token_hex(4)}"
    records = [action(uid, 1), action(uid, 2, extra="MARK"), action(uid, 3)]
    for attempt in range(2):
        status, shown = posted(collector, "action_logs", body_with("action_logs", records, text))
        assert status == 200
        statuses = {entry["external_id"]: entry["status"] for entry in shown["action_logs"]}
        good = "existed" if attempt else "added"
        # What could not be parsed at all is answered without its key.
        failed_id = 2 if code != "too_deep" else None
        if code is None:
            assert statuses == {1: good, 2: good, 3: good}
        else:
            assert statuses == {1: good, failed_id: "failed", 3: good}
    kept = collector.rows(
        "select reason_code, position, seen_count from collector.quarantine order by last_seen desc limit 1"
    )
    if code:
        assert kept == [(code, 1, 2)]
        alone = [action(uid, 9, extra="MARK")]
        status, shown = posted(collector, "action_logs", body_with("action_logs", alone, text))
        assert status == 400
        assert shown["action_logs"][0]["status"] == "failed"
    taken = collector.rows(
        "select sum(coalesce(cardinality(taken), records)) from collector.landing where uid = %s", uid
    )
    assert taken == [(2 if code else 3,)]


@pytest.mark.parametrize("case", IN_A_RECORD)
def test_poison_in_workloads_and_structures(collector: Collector, case: str) -> None:
    """The same verdicts for workloads (a neighbour survives) and structures (400 when refused, else 201)."""
    text, code = IN_A_RECORD[case]
    uid = f"poison-{case}-{secrets.token_hex(4)}"
    poisoned = workload(uid, 2)
    poisoned["resource_data"]["current"] = ["MARK"]
    status, shown = posted(
        collector, "oswl_stats", body_with("oswl_stats", [workload(uid, 1), poisoned], text)
    )
    assert status == 200
    assert sorted(entry["status"] for entry in shown["oswl_stats"]) == [
        "added",
        "failed" if code else "added",
    ]
    body = json.dumps({"installation_structure": structure(uid, extra="MARK")}).replace(MARK, text).encode()
    status, shown = posted(collector, "installation_structure", body)
    assert status == (400 if code else 201), shown


# whole bodies -> status and code
WHOLE = {
    "empty": (b"", 400, "not_json"),
    "spaces": (b"   ", 400, "not_json"),
    "text": (b"hello", 400, "not_json"),
    "utf16": ('{"action_logs":[]}'.encode("utf-16"), 400, "not_utf8"),
    "cut": (b'{"action_logs":[{"master', 400, "not_json"),
    "two_documents": (b'{"action_logs":[]}{"action_logs":[]}', 400, "not_json"),
    "trailing_comma": (b'{"action_logs":[1,]}', 400, "not_json"),
    "list": (b"[]", 400, "broken_envelope"),
    "null": (b"null", 400, "broken_envelope"),
    "nothing": (b"{}", 400, "broken_envelope"),
    "another_member": (b'{"action_logs":[],"x":1}', 400, "broken_envelope"),
    "another_member_nan": (b'{"action_logs":[],"x":NaN}', 400, "broken_envelope"),
    "object_for_list": (b'{"action_logs":{}}', 400, "broken_envelope"),
    "null_for_list": (b'{"action_logs":null}', 400, "broken_envelope"),
    "nan_for_list": (b'{"action_logs":NaN}', 400, "broken_envelope"),
    "bare_deep": (DEEP.encode(), 400, "not_json"),
    "empty_list": (b'{"action_logs":[]}', 200, None),
    "bom": (b'\xef\xbb\xbf{"action_logs":[]}', 200, None),
    "member_twice": (b'{"action_logs":[1],"action_logs":[]}', 200, None),
    "control_character": (b'{"action_logs":["a\x01"]}', 400, "not_json"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_bodies_have_stated_answers(collector: Collector, case: str) -> None:
    """What is not JSON, or not the envelope, is 400 with its code; a BOM, an empty list, a member twice are taken."""
    body, wanted, code = WHOLE[case]
    status, shown = posted(collector, "action_logs", body)
    assert status == wanted, shown
    if code:
        assert shown["code"] == code


def test_bytes_that_are_not_utf8_sink_only_their_record(collector: Collector) -> None:
    """A record with a broken byte fails, its neighbour is added."""
    uid = f"bytes-{secrets.token_hex(4)}"
    body = json.dumps({"action_logs": [action(uid, 1), action(uid, 2, extra="MARK")]}).encode()
    status, shown = posted(collector, "action_logs", body.replace(b"MARK", b"\xff\xfe"))
    assert status == 200
    assert sorted(entry["status"] for entry in shown["action_logs"]) == ["added", "failed"]


@pytest.mark.parametrize(
    "uid_text",
    ['"' + "u" * 1_000_000 + '"', r'"u\u0000"', r'"\udc00"', '""', "7", "null", '"' + "u" * 256 + '"'],
)
def test_a_uid_that_cannot_be_kept_fails_alone(collector: Collector, uid_text: str) -> None:
    """A uid of a megabyte, with NUL, half a surrogate, empty or no text: failed, not repeated in the answer."""
    uid = f"uid-{secrets.token_hex(4)}"
    body = body_with("action_logs", [action(uid, 1), action("MARK", 2)], uid_text)
    status, shown = posted(collector, "action_logs", body)
    assert status == 200
    assert {"master_node_uid": None, "external_id": 2, "status": "failed"} in shown["action_logs"]
    assert {"master_node_uid": uid, "external_id": 1, "status": "added"} in shown["action_logs"]


@pytest.mark.parametrize(
    ("id_text", "wanted"),
    [
        ("9223372036854775807", "added"),
        ("-9223372036854775808", "added"),
        ("0", "added"),
        ("9223372036854775808", "failed"),
        ("-9223372036854775809", "failed"),
        ("1.0", "failed"),
        ("true", "failed"),
        ('"1"', "failed"),
        ("null", "failed"),
        ("1e3", "failed"),
    ],
)
def test_keys_are_integers_of_64_bits(collector: Collector, id_text: str, wanted: str) -> None:
    """The whole range of 64 bits is a key; 1.0, true, texts and beyond are failed and never a 5xx."""
    uid = f"key-{secrets.token_hex(4)}"
    for kind, make in (("action_logs", action), ("oswl_stats", workload)):
        record, member = make(uid, 5), "external_id" if kind == "action_logs" else "id"
        record[member] = "MARK"
        status, shown = posted(collector, kind, body_with(kind, [make(uid, 4), record], id_text))
        assert status == 200
        statuses = [entry["status"] for entry in shown[kind] if entry[member] != 4]
        assert statuses == [wanted], shown


@pytest.mark.parametrize("charset", ["klingon", "utf-16", "latin-1", '"'])
def test_the_charset_of_the_content_type_is_not_believed(collector: Collector, charset: str) -> None:
    """JSON is UTF-8, whatever the header says."""
    headers = {"content-type": f"application/json; charset={charset}"}
    status, _ = posted(collector, "action_logs", b'{"action_logs":[]}', **headers)
    assert status == 200


def test_gzip_is_inflated_and_other_encodings_are_refused(collector: Collector) -> None:
    """gzip is read; a broken stream is 400, deflate and br are 415."""
    body = b'{"action_logs":[]}'
    headers = {"content-encoding": "gzip"}
    assert posted(collector, "action_logs", gzip.compress(body), **headers)[0] == 200
    assert posted(collector, "action_logs", body, **headers)[1]["code"] == "bad_gzip"
    assert posted(collector, "action_logs", gzip.compress(body)[:-9], **headers)[1]["code"] == "bad_gzip"
    assert posted(collector, "action_logs", body, **{"content-encoding": "br"})[0] == 415
