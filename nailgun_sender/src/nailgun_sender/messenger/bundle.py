"""Records of a node without a network: written to a file, carried, and sent from somewhere else.

A bundle is a gzipped JSON-lines file: a head line, then one line a request, its body exactly as it would be sent, with
its signature when the node's key is bound. The collector's side is ``fuel-stat import-bundle``. Exported records count
as sent when ``settle`` is told the collector's answers, or when the operator says that the bundle arrived.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import now
from ..errors import SenderError
from .cycle import Cycle, fates_of
from .parcel import Item, Parcel

FORMAT = "fuel-stat-bundle"
VERSION = 1
ADDRESS = "http://bundle.invalid"
"""What the signatures name as the address: where a bundle will be imported is not known, and they cover the path."""


class BundleError(SenderError):
    """``no_consent``, ``not_a_bundle``, ``newer_bundle`` or ``not_answers``."""


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
        cycle.look()
        for parcel in cycle.parcels(granted):
            rows = [[item.row_id, item.version] for item in parcel.items]
            line: dict[str, Any] = {
                "kind": parcel.kind,
                "digest": parcel.digest,
                "rows": rows,
                "body": parcel.body.decode("ascii"),
            }
            signature = cycle.signature(ADDRESS + parcel.path, parcel.body)
            if signature:
                line["signature"] = {name.lower(): value for name, value in signature.items()}
            file.write(json.dumps(line) + "\n")
            requests += 1
            records += len(parcel.items)
    os.replace(temporary, path)
    return Exported(path, requests, records)


def settle(cycle: Cycle, path: Path, answers: Path | None = None) -> dict[str, int]:
    """Mark the records of a bundle that arrived, in the versions that it holds; returns how many by fate.

    Args:
        cycle: of the node that wrote it.
        path: the bundle.
        answers: what ``fuel-stat import-bundle --answers`` wrote; without it all count as sent.

    Raises:
        BundleError: ``not_a_bundle``, ``newer_bundle`` or ``not_answers``.
    """
    outbox = cycle.outbox()
    told = None if answers is None else _answers(answers)
    settled = {"sent": 0, "park": 0, "keep": 0}
    for line in _lines(path):
        if told is not None and line["digest"] not in told:
            settled["keep"] += len(line["rows"])
        elif line["kind"] == "installation_structure":
            cycle.remember_structure(json.loads(line["body"])["installation_structure"])
        else:
            items = tuple(Item(row_id, version, {}) for row_id, version in line["rows"])
            fates = [(item, "sent", "bundle") for item in items]
            if told is not None:
                parcel = Parcel(line["kind"], items, b"", b"", False)
                fates = list(fates_of(parcel, {line["kind"]: told[line["digest"]]}))
            outbox.settle(line["kind"], fates)
            for _, fate, _ in fates:
                settled[fate] += 1
    return settled


def _answers(path: Path) -> Mapping[str, list[Any]]:
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        return {str(entry["digest"]): list(entry["records"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError("not_answers", f"{path} is not what import-bundle wrote: {error}.") from error


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
