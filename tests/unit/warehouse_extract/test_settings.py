"""What the operator sets reaches the extraction, whoever starts it."""

from __future__ import annotations

from warehouse.extract_alarms import Thresholds
from warehouse.settings import alarm_thresholds


def test_thresholds_of_alarms_are_the_operators() -> None:
    """The options' values, without any address being set; the defaults where nothing is."""
    chosen = {
        "FUEL_STAT_EXTRACT_LAG_ALARM_SECONDS": "60",
        "FUEL_STAT_EXTRACT_TRANSACTION_ALARM_SECONDS": "120.5",
    }
    assert alarm_thresholds(chosen) == Thresholds(60.0, 120.5)
    assert alarm_thresholds({}) == Thresholds()
