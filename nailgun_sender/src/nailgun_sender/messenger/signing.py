"""The node's key and its signatures (RFC 9421 over RFC 9530 digests); needs the extra ``signatures``."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import SenderError

TAG = "fuel-stat"
COVERED = ("@method", "@path", "content-digest")
_PROOF_PREFIX = b"fuel-stat enrol v1\n"


class SigningError(SenderError):
    """``no_signatures`` (the extra is not installed) or ``bad_key`` (the key file cannot be used)."""


class Key:
    """The node's Ed25519 key, in a PEM file of mode 600 that is made when it is not there."""

    def __init__(self, private: Any) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.offset = 0.0

    @classmethod
    def load_or_make(cls, path: Path) -> Key:
        """Read the key, or make one.

        Raises:
            SigningError.
        """
        try:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError as error:
            sentence = "Signing needs the extra: pip install 'nailgun-sender[signatures]'."
            raise SigningError("no_signatures", sentence) from error
        if not path.exists():
            private = Ed25519PrivateKey.generate()
            pem = private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            _write_once(path, pem)
        try:
            loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise SigningError("bad_key", f"{path} is not a key that can be used: {error}.") from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise SigningError("bad_key", f"{path} does not hold an Ed25519 key.")
        return cls(loaded)

    @property
    def key_id(self) -> str:
        """Name of the key: unpadded base64url of the first 16 bytes of sha256 of the public key."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.public).digest()[:16]).rstrip(b"=").decode()

    def enrolment(self, uid: str, code: str | None = None) -> dict[str, str]:
        """The body of an enrolment: the public key with a proof that we hold the private one."""
        public = base64.b64encode(self.public)
        proof = self._private.sign(_PROOF_PREFIX + uid.encode("utf-8") + b"\n" + public)
        body = {
            "master_node_uid": uid,
            "public_key": public.decode(),
            "proof": base64.b64encode(proof).decode(),
        }
        return {**body, "code": code} if code else body

    def sign(self, method: str, url: str, wire: bytes) -> dict[str, str]:
        """The headers that sign this request, with the time corrected to the collector's."""
        from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

        private = self._private

        class Resolver(HTTPSignatureKeyResolver):
            def resolve_private_key(self, key_id: str) -> Any:
                return private

        message = _Message(method, url)
        signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
        signer.sign(
            message,
            key_id=self.key_id,
            created=datetime.fromtimestamp(time.time() + self.offset, timezone.utc),
            covered_component_ids=COVERED,
            tag=TAG,
            body=wire,
        )
        return message.headers


class _Message:
    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url
        self.headers: dict[str, str] = {}


def _write_once(path: Path, content: bytes) -> None:
    # Beside and then linked: two processes that start at once end up with one key, never with half a file.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
