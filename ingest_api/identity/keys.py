"""Ed25519 public keys as nodes send them, their ids, and the proof that the sender holds the private half."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ingest_api.identity.errors import IdentityError

KEY_BYTES = 32
_PROOF_PREFIX = b"fuel-stat enrol v1\n"


def decode_public_key(text: str) -> bytes:
    """The 32 raw bytes of a key given in base64.

    Raises:
        IdentityError: 400 ``bad_public_key``.
    """
    raw = _decode(text, "bad_public_key", "public_key")
    if len(raw) != KEY_BYTES:
        raise IdentityError(400, "bad_public_key", "public_key is not the base64 of 32 bytes.")
    return raw


def key_id(public_key: bytes) -> str:
    """The name of a key in signatures (``keyid``): unpadded base64url of the first 16 bytes of its sha256."""
    return base64.urlsafe_b64encode(hashlib.sha256(public_key).digest()[:16]).rstrip(b"=").decode()


def proof_message(uid: str, public_key: bytes) -> bytes:
    """What a node signs with the new key itself: a key cannot be enrolled by one who does not hold it."""
    return _PROOF_PREFIX + uid.encode("utf-8") + b"\n" + base64.b64encode(public_key)


def check_proof(uid: str, public_key: bytes, proof: str) -> None:
    """Check the proof of possession.

    Raises:
        IdentityError: 403 ``bad_proof``.
    """
    signature = _decode(proof, "bad_proof", "proof")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, proof_message(uid, public_key))
    except (InvalidSignature, ValueError) as error:
        sentence = "proof is not a signature of this uid and key by this key."
        raise IdentityError(403, "bad_proof", sentence) from error


def _decode(text: str, code: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IdentityError(400, code, f"{name} is not base64.") from error
