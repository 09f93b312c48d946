"""Saying yes quickly: a kind's JSON Schema, compiled at the start into types that msgspec decodes a body into.

Decoding checks every record against its schema in the same pass that reads it, and keeps only what the schema names.
It can only say yes: whatever a type refuses goes the careful way (parse, jsonschema-rs, jsonschema's sentence), so a
type may be stricter than its schema, never laxer. What the compiler does not understand wholly is not compiled, and
such a kind is always judged the careful way: a new kind needs no code here.

Two things msgspec does not look at, so the caller must: whether text that no type names is UTF-8, and whether numbers
that no type names are exact (the screen flags those).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, Literal

import msgspec

from ingest_api.kinds import Kind

_NOTES = frozenset({"$schema", "title", "description"})
#: JSON Schema's keywords beside "type", by type; any other keyword is not understood
_KEYWORDS = {
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items"}),
    "object": frozenset({"properties", "required", "additionalProperties", "oneOf"}),
}
_BOUNDS = {"minLength": "min_length", "maxLength": "max_length", "minimum": "ge", "maximum": "le"}
_SCALARS = {"string": str, "integer": int, "number": int | float, "boolean": bool, "null": None}


class _NotUnderstoodError(Exception):
    """A part of a schema that the compiler cannot express exactly or more strictly."""


class Accepted:
    """Records that were accepted, as columns: what landing them needs, and nothing else.

    ``uids`` are the different ones; ``ids`` has one id a record (empty for a kind of one record); ``skipped`` are the
    places of unfinished records, in order.
    """

    __slots__ = ("count", "ids", "skipped", "uids")

    def __init__(self, uids: set[str], ids: list[int], skipped: list[int], count: int) -> None:
        self.uids, self.ids, self.skipped, self.count = uids, ids, skipped, count


class Acceptance:
    """Accepts the bodies of one kind, or says that it cannot."""

    def __init__(self, kind: Kind) -> None:
        self._many = kind.many
        self._decode: Callable[[bytes], Any] | None = None
        # A version of a record is told by all of it, so there is nothing to gain by not keeping it.
        if kind.ledger == "version" or kind.calendar_dates:
            return
        try:
            self._compile(kind)
        except (_NotUnderstoodError, TypeError):  # TypeError: types that msgspec cannot tell apart
            self._decode = None

    @property
    def compiled(self) -> bool:
        """Whether the kind's schema was understood."""
        return self._decode is not None

    def accept(self, body: bytes) -> Accepted | None:
        """The columns of a body whose envelope is right and whose records all match the schema; None: not known.

        The body must hold no number that a double cannot hold exactly.
        """
        if self._decode is None:
            return None
        try:
            if not body.isascii():
                body.decode("utf-8")
            decoded = self._decode(body).content
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        records = decoded if self._many else [decoded]
        ids = list(map(self._id, records)) if self._many else []
        return Accepted(set(map(self._uid, records)), ids, self._unfinished(records), len(records))

    def _compile(self, kind: Kind) -> None:
        compiler = _Compiler()
        record = compiler.type_of(kind.schema)
        content = list[record] if kind.many else record  # type: ignore[valid-type]
        envelope = msgspec.defstruct(
            "Envelope", [("content", content)], rename={"content": kind.envelope},
            forbid_unknown_fields=True, gc=False,
        )  # fmt: skip
        self._uid = attrgetter(compiler.scalar_path(kind.schema, (kind.uid,)))
        if kind.many:
            self._id = attrgetter(compiler.scalar_path(kind.schema, (str(kind.id),)))
        self._rules = [
            (attrgetter(compiler.scalar_path(kind.schema, path)), values)
            for path, values in kind.unfinished.items()
        ]
        self._decode = msgspec.json.Decoder(envelope).decode

    def _unfinished(self, records: Sequence[Any]) -> list[int]:
        """The places of records that are not to be remembered yet: all rules hold (see Kind.unfinished)."""
        if not self._rules:
            return []
        places = range(len(records))
        for at, values in self._rules:
            found = [at(records[place]) for place in places]
            # Nearly always no record of a request has any of the values: one look at the few different ones.
            if not any(_told(value) in values for value in set(found)):
                return []
            places = [  # type: ignore[assignment]
                place for place, value in zip(places, found, strict=True) if _told(value) in values
            ]
        return list(places)


def _told(value: Any) -> Any:
    return None if value is msgspec.UNSET else value


class _Compiler:
    """Makes types of schemas; one member name has one attribute name in all of them."""

    def __init__(self) -> None:
        self._attributes: dict[str, str] = {}

    def type_of(self, schema: Any) -> Any:
        """The type whose values are values of the schema."""
        if not isinstance(schema, dict):
            raise _NotUnderstoodError("not a schema")
        given = schema.keys() - _NOTES
        if not given:
            return msgspec.Raw
        if given == {"enum"}:
            return _literal(schema["enum"])
        named = schema.get("type")
        names = [named] if isinstance(named, str) else named
        if not isinstance(names, list) or not names:
            raise _NotUnderstoodError("no type")
        understood = frozenset({"type"}).union(*(_KEYWORDS.get(name, frozenset()) for name in names))
        if not given <= understood:
            raise _NotUnderstoodError(f"keywords {given - understood}")
        return reduce(or_, [self._one(name, schema) for name in names])

    def scalar_path(self, schema: Mapping[str, Any], path: Sequence[str]) -> str:
        """The dotted attributes of a scalar within a record; each object on the way must be required."""
        *way, last = path
        attributes = []
        for member in way:
            if member not in schema.get("required", ()) or member not in schema.get("properties", {}):
                raise _NotUnderstoodError(f"{member} may be missing")
            attributes.append(self._attributes[member])
            schema = schema["properties"][member]
        for holder in [schema] if last in schema.get("properties", {}) else schema.get("oneOf", [{}]):
            member_schema = holder.get("properties", {}).get(last, {})
            names = member_schema.get("type", "string" if "enum" in member_schema else "object")
            if not set([names] if isinstance(names, str) else names) <= _SCALARS.keys():
                raise _NotUnderstoodError(f"{last} is no scalar")
        return ".".join([*attributes, self._attributes[last]])

    def _one(self, name: str, schema: Mapping[str, Any]) -> Any:
        if name == "object":
            return self._object(schema)
        if name == "array":
            # A struct that is written as an array and has no fields: any array, and nothing of it is kept.
            return list[self.type_of(schema["items"])] if "items" in schema else _ANY_ARRAY  # type: ignore[misc]
        if name not in _SCALARS:
            raise _NotUnderstoodError(f"type {name}")
        bounds = {_BOUNDS[key]: schema[key] for key in _KEYWORDS[name] if key in schema}
        scalar: Any = _SCALARS[name]
        return Annotated[scalar, msgspec.Meta(**bounds)] if bounds else scalar

    def _object(self, schema: Mapping[str, Any]) -> Any:
        if schema.get("additionalProperties", True) not in (True, False):
            raise _NotUnderstoodError("additionalProperties")
        properties, required = schema.get("properties", {}), set(schema.get("required", ()))
        closed = schema.get("additionalProperties") is False
        if closed and ("oneOf" in schema or not required <= properties.keys()):
            raise _NotUnderstoodError("required, and yet not allowed")
        if "oneOf" not in schema:
            return self._struct(properties, required, closed=closed)
        tag, branches = _tagged(schema["oneOf"], properties, required)
        return reduce(
            or_,
            [
                self._struct({**properties, **branch}, required - {tag}, tag=(tag, value))
                for value, branch in branches.items()
            ],
        )

    def _struct(
        self,
        properties: Mapping[str, Any],
        required: set[str],
        *,
        closed: bool = False,
        tag: tuple[str, str] | None = None,
    ) -> Any:
        fields: list[Any] = []
        names: dict[str, str] = {}
        for member in dict.fromkeys((*properties, *sorted(required))):
            made, attribute = self.type_of(properties.get(member, {})), self._attribute(member)
            names[attribute] = member
            fields.append(
                (attribute, made)
                if member in required
                else (attribute, made | msgspec.UnsetType, msgspec.UNSET)
            )
        options: dict[str, Any] = {}
        if tag is not None:
            options = {"tag_field": tag[0], "tag": tag[1], "namespace": {self._attribute(tag[0]): tag[1]}}
        return msgspec.defstruct(
            "Object", fields, rename=names, forbid_unknown_fields=closed, kw_only=True, gc=False, **options
        )

    def _attribute(self, member: str) -> str:
        return self._attributes.setdefault(member, f"member_{len(self._attributes)}")


_ANY_ARRAY = msgspec.defstruct("Array", [], array_like=True, gc=False)


def _literal(values: Any) -> Any:
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise _NotUnderstoodError("an enum of other things than strings")
    return Literal[tuple(values)]


def _tagged(
    branches: Any, properties: Mapping[str, Any], required: set[str]
) -> tuple[str, dict[str, Mapping[str, Any]]]:
    """The member that tells the branches of a oneOf apart, and each branch's other properties by its value.

    Then exactly one branch can match: the one whose value it is.
    """
    for tag in sorted(required - properties.keys()):
        found: dict[str, Mapping[str, Any]] = {}
        for branch in branches:
            own = branch.get("properties", {}) if branch.keys() == {"properties"} else {}
            wanted = own.get(tag, {})
            values = wanted.get("enum") if wanted.keys() == {"enum"} else None
            if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
                break
            if own.keys() & properties.keys():
                break
            found[values[0]] = {name: inner for name, inner in own.items() if name != tag}
        if len(found) == len(branches):
            return tag, found
    raise _NotUnderstoodError("a oneOf whose branches no required member tells apart")
