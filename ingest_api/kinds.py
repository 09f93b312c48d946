"""Kinds of statistics are data: a folder of versioned schemas with examples, and a declaration of the key.

A folder ``<kind>/`` holds ``kind.json`` (see :class:`Kind`), ``<kind>.<version>.schema.json`` (the JSON Schema,
Draft 4, of one record) and examples ``<kind>.<version>.<case>.pass.json`` / ``.fail.json``. Adding a kind is
adding a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ingest_api.errors import KindError

SHIPPED = Path(__file__).resolve().parent / "schemas"
Ledger = Literal["bitmap", "version", "latest"]


@dataclass(frozen=True)
class Kind:
    """One kind of statistics.

    Attributes:
        name: as in the URL and in the database.
        version: of the record schema in force.
        envelope: the only member of the request's body.
        ledger: ``bitmap``: the first record of a key wins; ``version``: every differing version of a key is
            kept; ``latest``: one record a node, kept when it differs from the node's latest.
        uid: the record's member that names the node.
        id: the record's integer key within the node (not for ``latest``).
        subtype: a further string member of the key (only for ``version``).
        unfinished: a record whose values at all these dotted paths are among those listed (an absent value
            counts as null) is answered ``skipped`` and not remembered.
        calendar_dates: members that must name a day that exists, beyond what the schema's pattern says.
        schema: the JSON Schema of one record.
        folder: where the kind's files are.
    """

    name: str
    version: int
    envelope: str
    ledger: Ledger
    uid: str
    id: str | None
    subtype: str | None
    unfinished: Mapping[tuple[str, ...], tuple[Any, ...]]
    calendar_dates: tuple[str, ...]
    schema: Mapping[str, Any]
    folder: Path

    @property
    def many(self) -> bool:
        """Whether the envelope holds a list of records."""
        return self.ledger != "latest"

    @property
    def file_prefix(self) -> str:
        """What the names of the files of the version in force begin with."""
        return f"{self.name}.{self.version}."

    def examples(self, verdict: Literal["pass", "fail"]) -> list[Path]:
        """The example bodies that must pass (every record taken) or fail (every record refused)."""
        return sorted(self.folder.glob(f"{self.file_prefix}*.{verdict}.json"))


def load_kinds(folders: Iterable[Path]) -> dict[str, Kind]:
    """All kinds below the folders, by name; a later folder replaces a kind of an earlier one.

    Raises:
        KindError: ``bad_kind`` when a declaration or its schema cannot be used.
    """
    kinds: dict[str, Kind] = {}
    for folder in folders:
        for declaration in sorted(folder.glob("*/kind.json")):
            kind = load_kind(declaration.parent)
            kinds[kind.name] = kind
    if not kinds:
        raise KindError("no_kinds", "No kind of statistics is declared in the schema folders.")
    return kinds


def load_kind(folder: Path) -> Kind:
    """The kind declared in one folder.

    Raises:
        KindError: ``bad_kind``.
    """
    try:
        declared = json.loads((folder / "kind.json").read_text())
        name, version = str(declared["kind"]), int(declared["version"])
        schema = json.loads((folder / f"{name}.{version}.schema.json").read_text())
        kind = Kind(
            name=name,
            version=version,
            envelope=declared.get("envelope", name),
            ledger=declared["ledger"],
            uid=declared.get("uid", "master_node_uid"),
            id=declared.get("id"),
            subtype=declared.get("subtype"),
            unfinished={
                tuple(path.split(".")): tuple(values)
                for path, values in declared.get("unfinished", {}).items()
            },
            calendar_dates=tuple(declared.get("calendar_dates", ())),
            schema=schema,
            folder=folder,
        )
    except (OSError, ValueError, KeyError) as error:
        raise KindError("bad_kind", f"The kind in {folder} cannot be read: {error!r}") from error
    _check(kind)
    return kind


def _check(kind: Kind) -> None:
    """A declaration must fit its schema, or records without a key would reach the ledger."""
    required = set(kind.schema.get("required", ()))
    needed = {kind.uid} | ({kind.id} if kind.many else set()) | ({kind.subtype} if kind.subtype else set())
    if kind.ledger not in ("bitmap", "version", "latest"):
        problem = f"unknown ledger {kind.ledger!r}"
    elif kind.folder.name != kind.name:
        problem = "the folder is not named after the kind"
    elif not needed <= required:
        problem = "the schema must require every member of the key"
    elif (kind.ledger == "version") != (kind.subtype is not None):
        problem = "a subtype belongs to the ledger 'version', and only there"
    else:
        return
    raise KindError("bad_kind", f"The kind in {kind.folder} cannot be used: {problem}.")
