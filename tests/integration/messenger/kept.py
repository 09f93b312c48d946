"""Writes what a long run saw to docs/evidence/."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def keep(name: str, title: str, how: str, rows: Sequence[tuple[str, object]], words: str = "") -> None:
    """One page: what was done, the figures as they were, and on what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    lines = [f"# {title}", "", f"Written by `{how}`.", ""]
    lines += ["| | |", "|---|---|", *(f"| {label} | {value} |" for label, value in rows), ""]
    lines += [words, ""] if words else []
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, commit {commit}"
    lines.append(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {where}, load {os.getloadavg()[0]:.1f}.")
    folder = REPOSITORY / "docs" / "evidence"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
