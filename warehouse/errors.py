"""The warehouse's errors: one root, a machine-readable code and a sentence each."""

from __future__ import annotations

from fuel_stat.errors import FuelStatError


class WarehouseError(FuelStatError):
    """The root of what the warehouse raises on purpose."""


class ExtractionError(WarehouseError):
    """An extraction could not go on; nothing of the failed chunk was kept."""


class ExpansionError(WarehouseError):
    """A landed request cannot be taken apart as its row says."""


class IntegrityError(WarehouseError):
    """Two stages of the data's way disagree. ``rows`` names what disagrees."""

    def __init__(self, code: str, sentence: str, rows: tuple[str, ...] = ()) -> None:
        super().__init__(code, sentence)
        self.rows = rows


class LegacyImportError(WarehouseError):
    """The original collector's database cannot be taken over as it is."""
