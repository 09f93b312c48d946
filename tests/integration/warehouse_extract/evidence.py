"""Pages of evidence: a table whose rows are written by the runs themselves, each with the commit it ran on."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "docs" / "evidence"


def commit() -> str:
    """The commit under test; a plus says that something was changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "warehouse", "sql", "tests/integration/warehouse_extract")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def note(page: str, title: str, text: str, columns: list[str], row: list[object]) -> None:
    """Write a row of a page's table, in place of the one with the same first cell; title and text are written anew."""
    path = FOLDER / f"{page}.md"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    cells = [str(cell) for cell in [*row, commit()]]
    rows[cells[0]] = f"| {' | '.join(cells)} |"
    rows.pop(columns[0], None)
    table = [f"| {' | '.join([*columns, 'commit'])} |", "|" + "---|" * (len(columns) + 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = [f"# {title}", "", *textwrap.wrap(" ".join(text.split()), 118)]
    path.write_text("\n".join([*head, "", *table, *(rows[key] for key in sorted(rows))]) + "\n")
