"""Errors of the package: one root, each with a machine-readable code and a sentence."""

from __future__ import annotations


class SenderError(Exception):
    """Root of all errors raised by this package.

    ``code`` is stable and meant for programs, ``str(error)`` is a sentence meant for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class SettingsError(SenderError):
    """A setting has a value that cannot be used."""


class StoreError(SenderError):
    """The node's database cannot be used as our store (``foreign_table``, ``newer_schema``…)."""


class ProviderError(SenderError):
    """A structure or workload provider could not read what it describes."""
