"""Writing HTML: everything is escaped unless it was made here."""

from __future__ import annotations

from html import escape
from typing import Union

VOID = {"input", "meta", "link"}


class Markup(str):
    """Text that is HTML already."""


Part = Union[str, Markup, None]


def tag(element: str, /, *parts: Part, **attributes: str | bool | None) -> Markup:
    """An element; attributes that are None or False are left out, ``class_`` and ``for_`` lose their underscore."""
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        written += f" {label}" if value is True else f' {label}="{escape(str(value), quote=True)}"'
    if element in VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{join(*parts)}</{element}>")


def join(*parts: Part) -> Markup:
    """The parts one after the other, plain text escaped."""
    return Markup(
        "".join(part if isinstance(part, Markup) else escape(part) for part in parts if part is not None)
    )
