"""Configuration: one frozen dataclass a service, filled from the environment at start, never at import.

A service declares its options once::

    @dataclass(frozen=True)
    class Settings:
        port: int = option("FUEL_STAT_INGEST_PORT", 8101, "Port the collector listens on.")

and reads them with ``from_env(Settings, os.environ)``. The same declarations make the configuration page.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fuel_stat.errors import OperatorError

T = TypeVar("T")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True)
class OptionRow:
    """One line of the configuration page: ``default`` is shown as text, secrets as ``(generated)``."""

    env: str
    default: str
    doc: str
    secret: bool


def option(
    env: str,
    default: Any,
    doc: str,
    *,
    secret: bool = False,
    parse: Callable[[str], Any] | None = None,
) -> Any:
    """A dataclass field that is read from the environment variable ``env``.

    Args:
        env: the variable's name.
        default: used when the variable is absent; must work on one machine.
        doc: a sentence for the configuration page.
        secret: masked wherever configuration is shown.
        parse: text to value; by default chosen by the field's type (str, int, float, bool, Path).
    """
    metadata = {"env": env, "doc": doc, "secret": secret, "parse": parse}
    return dataclasses.field(default=default, metadata=metadata)


def from_env(cls: type[T], environ: Mapping[str, str]) -> T:
    """An instance of ``cls`` from the environment.

    Raises:
        OperatorError: ``bad_option`` when a value cannot be read as its type; the message names the variable.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        env = field.metadata.get("env")
        if env is None or env not in environ:
            continue
        text = environ[env]
        parse = field.metadata["parse"] or _parser_for(hints[field.name])
        try:
            values[field.name] = parse(text)
        except ValueError as error:
            shown = "its value" if field.metadata["secret"] else repr(text)
            raise OperatorError("bad_option", f"{env}: {shown} is not valid: {error}") from error
    return cls(**values)


def describe(cls: type[Any]) -> Iterator[OptionRow]:
    """The options of a settings class, in the order they are declared."""
    for field in dataclasses.fields(cls):
        if "env" not in field.metadata:
            continue
        secret = bool(field.metadata["secret"])
        default = "(generated)" if secret else str(field.default)
        yield OptionRow(field.metadata["env"], default, field.metadata["doc"], secret)


def masked(settings: Any) -> dict[str, str]:
    """All values as text, secrets replaced by ``***``: what a service logs at boot."""
    shown = {}
    for field in dataclasses.fields(settings):
        value = str(getattr(settings, field.name))
        shown[field.name] = "***" if field.metadata.get("secret") and value else value
    return shown


def _parser_for(hint: Any) -> Callable[[str], Any]:
    if hint is bool:
        return _parse_bool
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)] or [hint]
    for kind in (int, float, Path):
        if kind in kinds:
            return kind
    return str


def _parse_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("expected one of 1, true, yes, on, 0, false, no, off")
