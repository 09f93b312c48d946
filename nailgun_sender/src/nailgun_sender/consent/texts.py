"""What the operator is asked: four levels, each with its purpose and every field of it (``wording``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import wording
from .wording import Field

TEXT_VERSION = 1


@dataclass(frozen=True)
class Level:
    """A part of the consent that can be given on its own."""

    name: str
    title: str
    purpose: str
    fields: tuple[Field, ...]


LEVELS: tuple[Level, ...] = (
    Level(
        "actions",
        "What is done on this master node",
        "Shows which functions are used, how long deployments take and how often they fail.",
        wording.ACTIONS,
    ),
    Level(
        "configuration",
        "How the environments look",
        "Shows which releases, options, plugins, roles and hardware are in use, so that these are tested and kept.",
        wording.CONFIGURATION,
    ),
    Level(
        "workloads",
        "What runs on OpenStack",
        "Shows how many virtual machines, volumes, images, flavors and tenants environments carry.",
        wording.WORKLOADS,
    ),
    Level(
        "contact",
        "Your contact data",
        "Lets us ask you about problems that your statistics show. Only sent if you entered it.",
        wording.CONTACT,
    ),
)
NAMES: tuple[str, ...] = tuple(level.name for level in LEVELS)


def level_named(name: str) -> Level:
    """The level of that name; raises KeyError."""
    found = {level.name: level for level in LEVELS}
    return found[name]


def new_fields(agreed_version: int, levels: tuple[str, ...] = NAMES) -> Iterator[tuple[Level, Field]]:
    """The fields of these levels that a later text asks for: the diff the operator is shown."""
    for level in LEVELS:
        for field in level.fields:
            if level.name in levels and field.since > agreed_version:
                yield level, field
