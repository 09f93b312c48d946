"""A landing as the values of its statement, in the formats that the statement casts them from."""

from __future__ import annotations

from collections.abc import Callable

from ingest_api import statements
from ingest_api.kinds import Kind
from ingest_api.landing import Landing
from ingest_api.prepared import BYTEA_OID, TEXT_OID, Values, array, int2, int4, numbers
from ingest_api.statements import Twin


def common(kind: Kind, landing: Landing) -> dict[str, bytes | None]:
    """What the statements of all ledgers take."""
    return {
        "node": landing.node.bytes,
        "uid": landing.uid.encode(),
        "tier": int2(landing.tier),
        "heard": b"\1" if landing.heard else b"\0",
        "kind": kind.name.encode(),
        "version": int2(kind.version),
        "records": int4(landing.records),
        "payload_bytes": int4(landing.payload_bytes),
        "payload": landing.payload,
    }


def _bitmap(landing: Landing) -> Values:
    buckets: dict[int, int] = {}
    for record_id in landing.ids:
        bucket = record_id >> 6
        buckets[bucket] = buckets.get(bucket, 0) | 1 << (record_id & 63)
    ordered = sorted(buckets)
    return {
        "buckets": numbers(ordered),
        "bits": numbers([_signed(buckets[bucket]) for bucket in ordered]),
        "places": numbers(landing.places),
        "ids": numbers(landing.ids),
    }


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _version(landing: Landing) -> Values:
    return {
        "places": numbers(landing.places),
        "ids": numbers(landing.ids),
        "subtypes": array(TEXT_OID, [subtype.encode() for subtype in landing.subtypes]),
        "digests": array(BYTEA_OID, landing.digests),
    }


#: the statement of a ledger, and what it takes besides
BY_LEDGER: dict[str, tuple[Twin, Callable[[Landing], Values]]] = {
    "bitmap": (statements.BITMAP, _bitmap),
    "version": (statements.VERSION, _version),
}
