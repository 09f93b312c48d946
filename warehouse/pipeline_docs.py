"""dbt's documentation of the project, written beside the data docs when the project has changed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from fuel_stat import log
from fuel_stat.state import write_atomically
from warehouse import dbt_runner

logger = log.get(__name__)


def digest(root: Path) -> str:
    """What the documentation depends on: every file of the project, by name and content."""
    found = hashlib.sha256()
    for file in sorted((root / "dbt_project").rglob("*")):
        if file.suffix in (".sql", ".yml", ".md", ".csv") and "target" not in file.parts:
            found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def refresh(project: dbt_runner.Project, site: Path) -> bool:
    """Write ``index.html`` (one file, nothing fetched) into ``site`` unless it shows this project already.

    Says whether it was written. A failure is logged and no more: the publication does not hang on its documentation.
    """
    mark = site / "project.sha256"
    current = digest(project.root)
    if mark.exists() and mark.read_text() == current and (site / "index.html").exists():
        return False
    try:
        dbt_runner.run(project, ["docs", "generate", "--static"], target="docs")
    except dbt_runner.DbtError as error:
        logger.warning("dbt_docs_failed", code=error.code, reason=error.sentence[:500])
        return False
    site.mkdir(parents=True, exist_ok=True)
    fresh = site / ".index.html.new"
    shutil.copyfile(project.targets / "docs" / "static_index.html", fresh)
    fresh.replace(site / "index.html")
    write_atomically(mark, current)
    return True
