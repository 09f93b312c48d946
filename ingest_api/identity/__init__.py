"""Who speaks for a node: enrolled keys, signatures, one-time codes, and the verdict on each request.

A uid is an identifier, not a secret. T0: a legacy node, uid only. T1: a node that enrolled an Ed25519 key on first
use and signs its requests (RFC 9421 with RFC 9530 digests). T2: a key vouched for by a one-time code or the operator.
"""

from ingest_api.identity.authenticator import SignedAuthentication
from ingest_api.identity.directory import Directory
from ingest_api.identity.errors import IdentityError
from ingest_api.identity.verdict import judge

__all__ = ["Directory", "IdentityError", "SignedAuthentication", "judge"]
