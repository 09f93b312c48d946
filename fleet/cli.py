"""`fuel-stat fleet`: send the simulated fleet, replay recorded traffic, show what must be true."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from fleet.errors import FleetError
from fleet.modern import run_modern
from fleet.run import Progress, replay, run_fleet
from fleet.tally import Tally, TallyStore
from fleet.truth import Truth, read_rules
from fuel_stat.state import REPOSITORY, home

app = typer.Typer(
    help="Send the simulated fleet of Fuel nodes, or recorded traffic; show the truth about it."
)

FILTER_RULES = REPOSITORY / "dbt_project" / "seeds" / "filter_rules.csv"
DEFAULT_SEED = 1
DEFAULT_NODES = 60
DEFAULT_DAYS = 90
DEFAULT_MODERN = 2

Url = Annotated[
    str | None, typer.Option(help="The collector's address; by default the running stack's.", metavar="URL")
]


@app.command()
def run(
    url: Url = None,
    nodes: Annotated[int, typer.Option(min=1, help="How many installations.")] = DEFAULT_NODES,
    days: Annotated[int, typer.Option(min=1, help="How many days of history, ending now.")] = DEFAULT_DAYS,
    seed: Annotated[int, typer.Option(help="Equal seeds send equal fleets.")] = DEFAULT_SEED,
    concurrency: Annotated[int, typer.Option(min=1, help="Nodes that send at the same time.")] = 8,
    modern: Annotated[
        int, typer.Option(min=0, help="Further nodes that record and send by nailgun_sender, signed.")
    ] = DEFAULT_MODERN,
) -> None:
    """Send a simulated fleet: legacy nodes of releases 6.0 to 10.0 with all kinds of statistics, some modern ones."""
    with _bar("installations") as bar:
        task = bar.add_task("installations", total=nodes)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done)

        address = url or stack_url()
        tally = run_fleet(address, seed, nodes, days, home(), show, concurrency=concurrency)
    if modern:
        tally = run_modern(address, seed, modern, days, home())
    print_tally(tally)


@app.command("replay")
def replay_command(
    url: Url = None,
    path: Annotated[Path | None, typer.Option(help="Folder of recorded exchanges.", metavar="FOLDER")] = None,
) -> None:
    """Send the traffic recorded from real Fuel nodes, in its order."""
    folder = path or recorded_folder()
    with _bar("exchanges") as bar:
        task = bar.add_task("exchanges", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        tally = replay(url or stack_url(), folder, home(), show)
    print_tally(tally)


@app.command()
def truth(
    rules: Annotated[
        Path, typer.Option(help="CSV file of filtering rules; an empty one filters nothing.", metavar="FILE")
    ] = FILTER_RULES,
) -> None:
    """Print, as JSON, what the fleet knows to be true of all it has sent: summary, report, deployments, tally."""
    with TallyStore(home()) as store:
        known = Truth.of(store).as_json(read_rules(rules), datetime.now(UTC).date())
    typer.echo(json.dumps(known, indent=2))


def recorded_folder() -> Path:
    """Where recorded exchanges are: FUEL_STAT_RECORDED, or `shared/data` beside the repository."""
    named = os.environ.get("FUEL_STAT_RECORDED")
    data = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return data / "nailgun" if (data / "nailgun").is_dir() else data


def stack_url() -> str:
    """The collector's address: FUEL_STAT_INGEST_URL, which `fuel-stat` sets when a stack is there.

    Raises:
        FleetError: no stack has been started from here.
    """
    url = os.environ.get("FUEL_STAT_INGEST_URL")
    if not url:
        raise FleetError("no_stack", "no running stack is known here: start it with `make up`, or name --url")
    return url


def print_tally(tally: Tally) -> None:
    """The tally as a few lines for a person."""
    for kind, counts in tally.kinds.items():
        parts = [
            f"{name} {getattr(counts, name):,}"
            for name in ("added", "existed", "failed", "unanswered", "unfinished")
            if getattr(counts, name)
        ]
        typer.echo(f"{kind:<24} {counts.sent:>9,} sent: {', '.join(parts)}")


def _bar(what: str) -> Bar:
    columns = (TextColumn(f"sending {what}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True)
