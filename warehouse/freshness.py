"""Are the sources fed? ``dbt source freshness`` by the limits that stand beside the sources, told in one sentence.

It is no step of a publication: what grows old is noticed when nothing arrives, and then nothing is published either.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from warehouse import dbt_runner, pipeline, publish
from warehouse.errors import WarehouseError

_FOLDER = "freshness"
# What dbt takes for the newest record where it found none.
_NEVER = 10 * 365 * 86_400


class StaleError(WarehouseError):
    """A source is older than it may be (``sources_stale``)."""


@dataclass(frozen=True)
class Source:
    """A source's age in seconds (None: nothing within the days looked at) and dbt's verdict: pass, warn or error."""

    name: str
    status: str
    age_seconds: float | None

    @property
    def is_stale(self) -> bool:
        return self.status not in ("pass", "warn")

    @property
    def sentence(self) -> str:
        if self.age_seconds is None:
            return f"{self.name}: nothing within the days looked at ({self.status})"
        return f"{self.name}: the newest is {self.age_seconds / 3600:.1f} h old ({self.status})"


def check(
    places: pipeline.Places, *, fail: bool = True, tell: Callable[[str], None] | None = None
) -> list[Source]:
    """Look how old the newest record of each source is; nothing to look at before the first load.

    Raises:
        StaleError: ``sources_stale``, naming the sources beyond their limit (not with ``fail`` off).
        DbtError: dbt could not look.
    """
    with pipeline.connect(places.warehouse_dsn) as connection:
        if not publish.has_loads(connection):
            return []
    project = places.project()
    pipeline.share_parsing(project.targets, _FOLDER)
    told = project.targets / _FOLDER / "sources.json"
    told.unlink(missing_ok=True)
    try:
        dbt_runner.run(project, ["source", "freshness"], target=_FOLDER, tell=tell)
    except dbt_runner.DbtError:
        # It also ends with an error where a source is stale: then it has written what it found.
        if not told.exists():
            raise
    found = read(told)
    stale = [source.sentence for source in found if source.is_stale]
    if stale and fail:
        raise StaleError("sources_stale", "; ".join(stale))
    return found


def read(path: Path) -> list[Source]:
    """What dbt wrote about each source, by name."""
    results = json.loads(path.read_text())["results"]
    return sorted((_source(one) for one in results), key=lambda source: source.name)


def _source(result: dict[str, object]) -> Source:
    age = result.get("max_loaded_at_time_ago_in_s")
    known = float(age) if isinstance(age, int | float) and age < _NEVER else None
    return Source(str(result["unique_id"]).split(".", 2)[2], str(result["status"]), known)
