"""How a node is named inside the collector, and how the warehouse knows it.

The collector keys its tables by a fixed-width digest of the uid; the warehouse never sees the uid
and knows a node only by a pseudonym made with a secret pepper (losing the pepper makes every node a new one).
"""

from __future__ import annotations

import hashlib
import hmac
import uuid


def node_id(uid: str) -> uuid.UUID:
    """The collector's key of a node: the first 16 bytes of sha256 of the uid in UTF-8."""
    return uuid.UUID(bytes=hashlib.sha256(uid.encode("utf-8")).digest()[:16])


def installation_key(pepper: bytes, uid: str) -> uuid.UUID:
    """The warehouse's pseudonym of a node: the first 16 bytes of HMAC-SHA256(pepper, uid)."""
    return uuid.UUID(bytes=hmac.digest(pepper, uid.encode("utf-8"), "sha256")[:16])
