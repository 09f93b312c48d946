"""Records of a node without a network: written to a file, carried, and sent from somewhere else.

A bundle is a gzipped JSON-lines file: a head line, then one line a request, its body exactly as it would be sent.
The collector's side is ``fuel-stat import-bundle``. Exported records count as sent only when ``settle`` is told the
collector's answers, or when the operator says that the bundle arrived.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import now
from ..errors import SenderError
from .cycle import Cycle
from .parcel import Item

FORMAT = "fuel-stat-bundle"
VERSION = 1


class BundleError(SenderError):
    """``no_consent``, ``not_a_bundle`` or ``newer_bundle``."""


@dataclass(frozen=True)
class Exported:
    """What went into a bundle."""

    path: Path
    requests: int
    records: int


def export(cycle: Cycle, path: Path) -> Exported:
    """Write everything that a cycle would send now.

    Consent holds for a bundle as for the network.

    Raises:
        BundleError: ``no_consent``.
    """
    granted = cycle.permission()
    if not granted.allowed:
        raise BundleError("no_consent", f"Nothing may leave this node: {granted.sentence}")
    requests = records = 0
    temporary = path.with_name(f".{path.name}.partial")
    with gzip.open(temporary, "wt", encoding="ascii") as file:
        head = {"format": FORMAT, "version": VERSION, "made_at": now().isoformat(), "uid": cycle.uid()}
        file.write(json.dumps(head) + "\n")
        for parcel in cycle.parcels(granted):
            rows = [[item.row_id, item.version] for item in parcel.items]
            line = {
                "kind": parcel.kind,
                "digest": parcel.digest,
                "rows": rows,
                "body": parcel.body.decode("ascii"),
            }
            file.write(json.dumps(line) + "\n")
            requests += 1
            records += len(parcel.items)
    os.replace(temporary, path)
    return Exported(path, requests, records)


def settle(cycle: Cycle, path: Path) -> int:
    """Mark the records of a bundle that arrived as sent, in the versions that it holds; returns how many.

    Raises:
        BundleError: ``not_a_bundle`` or ``newer_bundle``.
    """
    outbox = cycle.outbox()
    settled = 0
    for line in _lines(path):
        if line["kind"] == "installation_structure":
            cycle.remember_structure(json.loads(line["body"])["installation_structure"])
            continue
        items = [Item(row_id, version, {}) for row_id, version in line["rows"]]
        outbox.settle(line["kind"], [(item, "sent", "bundle") for item in items])
        settled += len(items)
    return settled


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            head = json.loads(file.readline())
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise BundleError("not_a_bundle", f"{path} is not a bundle of this program.")
            if head["version"] > VERSION:
                raise BundleError("newer_bundle", f"{path} was written by a newer release.")
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError("not_a_bundle", f"{path} cannot be read as a bundle: {error}.") from error


__all__ = ["BundleError", "Exported", "export", "settle"]
