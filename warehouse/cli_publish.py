"""``fuel-stat warehouse publications | rollback | publish | freshness | erase``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from fuel_stat.errors import OperatorError
from warehouse.settings import Settings, command_settings


def register(app: typer.Typer) -> None:
    """Add these commands to ``fuel-stat warehouse``."""
    for command in (publications, rollback, publish, freshness, erase):
        app.command()(command)


def _settings() -> Settings:
    return command_settings(os.environ)


def publications(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the publications; the arrow shows which one readers see."""
    from warehouse import pipeline
    from warehouse import publish as store

    with pipeline.connect(_settings().warehouse_dsn) as connection:
        found = store.newest(connection, limit)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2, default=str))
        return
    for one in found:
        arrow = "->" if one.is_current else "  "
        when = f"{one.published_at or one.ended_at or one.started_at:%Y-%m-%d %H:%M:%S}"
        changes = f"+{one.rows_added} -{one.rows_closed}" if one.rows_added is not None else ""
        print(
            f"{arrow} {one.publication_id:6}  {one.state:11}  {when}  {changes}  {one.error or ''}".rstrip()
        )
    if not found:
        print("nothing was built yet")


def rollback(
    to: Annotated[int | None, typer.Option(help="A publication's number; by default the one before.")] = None,
) -> None:
    """Show readers an earlier publication again; takes effect at once, and the next build publishes anew."""
    from warehouse import pipeline
    from warehouse import publish as store

    with pipeline.connect(_settings().warehouse_dsn) as connection:
        try:
            shown = store.rollback(connection, to)
        except store.PublicationError as error:
            raise OperatorError(error.code, error.sentence) from error
    print(f"readers see publication {shown.publication_id} again")


def publish(
    full_refresh: Annotated[
        bool, typer.Option(help="Build the incremental models from the beginning.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Build although nothing is new.")] = True,
) -> None:
    """Build, audit and publish in this process, without Airflow."""
    from warehouse import pipeline

    found = _settings()
    places = pipeline.Places(found.warehouse_dsn, found.standby_dsn, found.pepper_bytes())
    done = pipeline.run_all(places, force=force, full_refresh=full_refresh, tell=print)
    print("nothing is new" if done is None else f"publication {done} is published")


def freshness(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how old the newest record of each source is; exit 1 where one is older than it may be."""
    from warehouse import freshness as sources
    from warehouse import pipeline

    found = sources.check(pipeline.Places(_settings().warehouse_dsn), fail=False, tell=lambda line: None)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        print("\n".join(one.sentence for one in found) or "nothing was loaded yet")
    if any(one.is_stale for one in found):
        raise typer.Exit(1)


def erase(
    uid: Annotated[str, typer.Argument(help="The master node's uid.", metavar="UID")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    now: Annotated[
        bool, typer.Option(help="Also delete its rows from all published versions at once.")
    ] = True,
) -> None:
    """Erase an installation from the collector and the warehouse, for good."""
    from warehouse import erase as erasure

    found = _settings()
    if not yes:
        typer.confirm("This cannot be undone. Erase the installation?", abort=True)
    try:
        erased = erasure.erase(found.admin_dsn, found.warehouse_dsn, found.pepper_bytes(), uid)
    except erasure.EraseError as error:
        raise OperatorError(error.code, error.sentence) from error
    versions = erasure.forget_versions(found.warehouse_dsn, found.pepper_bytes(), uid) if now else 0
    print(
        f"erased: {erased.collector_rows} rows at the collector, {erased.raw_records} records in raw,"
        f" {versions} published row versions. The next publication counts without it; backups keep it until they go."
    )
