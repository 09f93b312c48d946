"""``fuel-stat import-bundle``: the records of a node without a network, from the file that it exported."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from fuel_stat.settings import from_env
from ingest_api import bundle
from ingest_api.app import make_parts
from ingest_api.cli import admin_dsn
from ingest_api.settings import Settings


def import_bundle(
    files: Annotated[list[Path], typer.Argument(help="Bundles, written by `fuel-stat-sender export`.")],
    answers: Annotated[
        Path | None,
        typer.Option(help="Write each record's answer here, for `fuel-stat-sender export --answers`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take the records of bundles as if they had come over the network; a bundle may be imported again.

    Signature, redaction, record ledger and quarantine are those of the collector. Exit code 1 when a request or a
    record was refused.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    settings = dataclasses.replace(from_env(Settings, os.environ), dsn=admin_dsn())
    parts = make_parts(settings)
    done = []
    try:
        for path in files:
            done.append(bundle.import_bundle(parts, path))
            if not as_json:
                _tell(path, done[-1])
    finally:
        parts.store.close()
        if answers is not None:
            lines = [json.dumps(entry) + "\n" for each in done for entry in each.answers]
            answers.write_text("".join(lines), encoding="ascii")
    if as_json:
        typer.echo(json.dumps([_shown(path, each) for path, each in zip(files, done, strict=True)]))
    if any(each.refused or each.counts["failed"] for each in done):
        raise typer.Exit(1)


def _shown(path: Path, done: bundle.Imported) -> dict[str, Any]:
    return {
        "file": str(path),
        "uid": done.uid,
        "made_at": done.made_at,
        "requests": done.requests,
        "counts": dict(done.counts),
        "set_aside": dict(done.set_aside),
        "removed": dict(done.removed),
        "refused": done.refused,
    }


def _tell(path: Path, done: bundle.Imported) -> None:
    typer.echo(f"{path}: node {done.uid}, made {done.made_at}, {done.requests} requests")
    for title, found in (
        ("records", done.counts),
        ("set aside", done.set_aside),
        ("values removed", done.removed),
    ):
        if found:
            typer.echo(f"  {title}: {_listed(found)}")
    for sentence in done.refused:
        typer.echo(f"  refused: {sentence}")


def _listed(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
