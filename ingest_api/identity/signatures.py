"""Reading and checking RFC 9421 signatures over RFC 9530 digests, with a library that does the cryptography."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

TAG = "fuel-stat"
# The path and not the whole address: a proxy in front may change scheme and host, never the path it hands on.
COVERED = ("@method", "@path", "content-digest")


@dataclass(frozen=True)
class Message:
    """A request as the signature library wants it: absolute URL, upper-case method, headers by name."""

    method: str
    url: str
    headers: Mapping[str, str]


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, key: bytes) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:
        return Ed25519PublicKey.from_public_bytes(self._key)


class _AgelessVerifier(HTTPMessageVerifier):
    """Checks the signature only: a node with a clock far off is told so instead of being taken for a forger."""

    max_clock_skew = datetime.timedelta(days=36500)


def claimed_key_id(headers: Mapping[str, str]) -> str | None:
    """The ``keyid`` of the signature tagged for us, unverified; None when there is none or it cannot be read."""
    text = _header(headers, "signature-input")
    if text is None:
        return None
    try:
        labels: Any = http_sf.parse(text.encode("ascii"), tltype="dictionary")
    except (ValueError, KeyError, UnicodeError):
        return None
    for _, parameters in labels.values():
        if parameters.get("tag") == TAG and isinstance(parameters.get("keyid"), str):
            return str(parameters["keyid"])
    return None


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether the request says that it is signed at all."""
    return _header(headers, "signature-input") is not None or _header(headers, "signature") is not None


def verified_created(message: Message, body: bytes, public_key: bytes) -> int | None:
    """The time (Unix seconds) at which this key signed exactly this request; None when it did not.

    ``body`` is what came over the wire, before any decoding. The age is not judged here: what a clock that is off
    means is the caller's decision.
    """
    verifier = _AgelessVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_OneKey(public_key))
    try:
        results = verifier.verify(
            message, max_age=None, expect_tag=TAG, require_components=COVERED, body=body
        )
    except (HTTPMessageSignaturesException, ValueError, KeyError):
        return None
    created = results[0].parameters.get("created") if len(results) == 1 else None
    return created if isinstance(created, int) else None


def signer(private_key: Any) -> HTTPMessageSigner:
    """A signer for tests and tools; nodes bring their own (nailgun_sender)."""

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> Any:
            return private_key

    return HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())


def _header(headers: Mapping[str, str], name: str) -> str | None:
    for key, value in headers.items():
        if key.lower() == name:
            return value
    return None
