"""A request to the collector: the exact bytes, made once, so that what is previewed is what is sent."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """A record to send: the row it comes from and that row's version, and the record as the wire has it."""

    row_id: int
    version: int
    record: dict[str, Any]


@dataclass(frozen=True)
class Parcel:
    """One request: ``body`` is the JSON, ``wire`` what goes over the network (the same, or gzipped)."""

    kind: str
    items: tuple[Item, ...]
    body: bytes
    wire: bytes
    gzipped: bool

    @property
    def path(self) -> str:
        """Where it is sent."""
        return f"/api/v1/{self.kind}/"

    @property
    def digest(self) -> str:
        """sha256 (hex) of the JSON: what the page shows for the preview and for what was sent."""
        return hashlib.sha256(self.body).hexdigest()

    @classmethod
    def make(cls, kind: str, items: Sequence[Item], *, compress: bool) -> Parcel:
        """Write the JSON, the same bytes for the same records: no time, no random number goes in."""
        records: Any = [item.record for item in items]
        if kind == "installation_structure":
            records = records[0]
        body = json.dumps({kind: records}, separators=(",", ":")).encode("ascii")
        wire = gzip.compress(body, compresslevel=6, mtime=0) if compress else body
        return cls(kind, tuple(items), body, wire, compress)

    def halves(self) -> tuple[Parcel, Parcel]:
        """The same records in two parcels; only for more than one record."""
        middle = len(self.items) // 2
        first, second = self.items[:middle], self.items[middle:]
        return (
            Parcel.make(self.kind, first, compress=self.gzipped),
            Parcel.make(self.kind, second, compress=self.gzipped),
        )
