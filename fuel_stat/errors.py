"""The root of every error that Fuel-stat raises on purpose."""

from __future__ import annotations


class FuelStatError(Exception):
    """An expected failure: a machine-readable code and one sentence for a person.

    Args:
        code: snake_case, stable; tests, logs and answers carry it.
        sentence: what is wrong and, where it helps, what to do.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.sentence} [{self.code}]"


class OperatorError(FuelStatError):
    """A mistake at the operator's door: shown as one line on stderr, never as a traceback."""

    exit_code = 2
