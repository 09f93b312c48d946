"""Signatures are checked over method, path and the digest of the body as sent."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingest_api.identity.enrolment import parse_enrolment
from ingest_api.identity.errors import IdentityError
from ingest_api.identity.keys import check_proof, decode_public_key, key_id, proof_message
from ingest_api.identity.signatures import COVERED, TAG, Message, claimed_key_id, signer, verified_created

BODY = b'{"action_logs": []}'
URL = "http://127.0.0.1:8101/api/v1/action_logs/"


def signed(private: Ed25519PrivateKey, *, covered=COVERED, tag=TAG, body=BODY) -> Message:
    """A request signed as nodes do it."""
    public = private.public_key().public_bytes_raw()
    message = Message("POST", URL, {"content-type": "application/json"})
    signer(private).sign(message, key_id=key_id(public), covered_component_ids=covered, tag=tag, body=body)
    return message


def test_a_signed_request_is_verified():
    """The key's own signature verifies, and the time it says comes back."""
    private = Ed25519PrivateKey.generate()
    message = signed(private)
    public = private.public_key().public_bytes_raw()
    assert claimed_key_id(message.headers) == key_id(public)
    assert isinstance(verified_created(message, BODY, public), int)


@pytest.mark.parametrize(
    "tampered",
    ["body", "path", "method", "digest", "signature", "input"],
)
def test_a_tampered_request_is_not_verified(tampered):
    """One changed byte anywhere that is covered, or in the signature itself, undoes it."""
    private = Ed25519PrivateKey.generate()
    message = signed(private)
    headers = {name.lower(): value for name, value in message.headers.items()}
    method, url, body = message.method, message.url, BODY
    if tampered == "body":
        body = BODY.replace(b"[]", b"{}")
    elif tampered == "path":
        url = url.replace("action_logs", "oswl_stats")
    elif tampered == "method":
        method = "PUT"
    elif tampered == "digest":
        headers["content-digest"] = "sha-256=:" + base64.b64encode(bytes(32)).decode() + ":"
    elif tampered == "signature":
        headers["signature"] = headers["signature"].replace("=:", "=:AAAA", 1)
    else:
        headers["signature-input"] = headers["signature-input"].replace("created=", "created=1")
    public = private.public_key().public_bytes_raw()
    assert verified_created(Message(method, url, headers), body, public) is None


def test_another_keys_signature_is_not_verified():
    """A signature is worth nothing under a key that did not make it."""
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert verified_created(signed(Ed25519PrivateKey.generate()), BODY, other) is None


@pytest.mark.parametrize("covered", [("@method", "@path"), ("content-digest",)])
def test_a_signature_that_covers_too_little_is_not_verified(covered):
    """Method, path and digest are all required, else parts of the request could be exchanged."""
    private = Ed25519PrivateKey.generate()
    message = signed(private, covered=covered, body=BODY if "content-digest" in covered else None)
    assert verified_created(message, BODY, private.public_key().public_bytes_raw()) is None


@pytest.mark.parametrize("value", ["", "x", "sig=", 'sig=("@method");tag="other"', "\x00", "sig=1", "ü"])
def test_an_unreadable_signature_input_is_no_signature(value):
    """Garbage in the header is treated as no signature of ours, without an error."""
    assert claimed_key_id({"Signature-Input": value}) is None


def test_the_proof_of_possession_binds_uid_and_key():
    """A proof made for another uid, or by another key, is refused."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    proof = base64.b64encode(private.sign(proof_message("node-1", public))).decode()
    check_proof("node-1", public, proof)
    for uid, key in (("node-2", public), ("node-1", bytes(32))):
        with pytest.raises(IdentityError) as caught:
            check_proof(uid, key, proof)
        assert caught.value.code == "bad_proof"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "bad_enrolment"),
        ({}, "bad_enrolment"),
        ({"master_node_uid": "u", "public_key": "x", "proof": 1}, "bad_enrolment"),
        ({"master_node_uid": "u", "public_key": "!!", "proof": "eA=="}, "bad_public_key"),
        ({"master_node_uid": "u", "public_key": "eA==", "proof": "eA=="}, "bad_public_key"),
        ({"master_node_uid": "u" * 300, "public_key": "eA==", "proof": "eA=="}, "bad_enrolment"),
        ({"master_node_uid": "a\x00b", "public_key": "eA==", "proof": "eA=="}, "bad_enrolment"),
    ],
)
def test_a_broken_enrolment_is_refused_with_a_code(document, code):
    """Each kind of broken body has its machine-readable answer."""
    with pytest.raises(IdentityError) as caught:
        parse_enrolment(document)
    assert caught.value.code == code


def test_public_keys_have_exactly_32_bytes():
    """One byte more or less is no Ed25519 key."""
    assert decode_public_key(base64.b64encode(bytes(32)).decode()) == bytes(32)
    with pytest.raises(IdentityError):
        decode_public_key(base64.b64encode(bytes(33)).decode())
