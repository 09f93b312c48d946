"""Sends what was recorded: only with consent, only what is fresh, and without losing or doubling a record."""

from .cycle import Cycle, Report
from .settings import MessengerSettings

__all__ = ["Cycle", "MessengerSettings", "Report"]
