"""Showing what is going on: one moving line on a terminal, one line a step elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console


class Progress:
    """What ``say`` is told is shown with the seconds since the beginning; equal texts are shown once."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._status = self._console.status("") if self._console.is_terminal else None
        self._began = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def say(self, text: str) -> None:
        """Show what is being done now."""
        if text == self._last:
            return
        self._last = text
        line = f"[{time.monotonic() - self._began:5.1f} s] {text}"
        if self._status:
            self._status.update(line.replace("[", r"\[", 1))
        else:
            print(line, file=self._console.file, flush=True)
