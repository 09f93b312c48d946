"""Names of nodes: stable in the collector, pseudonymous in the warehouse."""

from __future__ import annotations

import hashlib
import hmac

from fuel_stat.identity import installation_key, node_id


def test_node_id_is_the_head_of_the_uids_digest():
    """Sixteen bytes of sha256, whatever the uid holds."""
    assert node_id("узел").bytes == hashlib.sha256("узел".encode()).digest()[:16]


def test_the_pseudonym_depends_on_the_pepper():
    """Without the pepper nobody can compute the key of a uid; another pepper makes another node of it."""
    assert installation_key(b"p", "u").bytes == hmac.new(b"p", b"u", hashlib.sha256).digest()[:16]
    assert installation_key(b"p", "u") != installation_key(b"q", "u")
