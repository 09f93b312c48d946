"""What the sending process knows of its host: how it describes itself."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from ..errors import SettingsError
from ..providers import StructureProvider, WorkloadProvider
from .settings import MessengerSettings


@dataclass(frozen=True)
class Host:
    """The host's providers; one that is None is not sent."""

    structure: StructureProvider | None = None
    workloads: WorkloadProvider | None = None


def load(settings: MessengerSettings) -> Host:
    """Call the function that the setting ``host`` names.

    Raises:
        SettingsError: ``bad_host``.
    """
    if not settings.host:
        return Host()
    module_name, _, function_name = settings.host.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), function_name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError("bad_host", f"host: {settings.host!r} cannot be used: {error}.") from error
    if not isinstance(found, Host):
        raise SettingsError("bad_host", f"host: {settings.host!r} did not return a Host.")
    return found
