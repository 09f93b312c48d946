"""The stack's subcommands: up, down, reset, status, logs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from fuel_stat.cli.progress import Progress
from fuel_stat.errors import FuelStatError


def register(app: typer.Typer) -> None:
    """Add the subcommands of this module to the application."""
    app.command()(up)
    app.command()(down)


def export_environment() -> None:
    """Give the addresses of a stack that exists to the services' commands, where the caller has not set them."""
    from fuel_stat.stack.stack import open_stack

    try:
        wiring = open_stack().wiring
    except FuelStatError:
        return
    for name, value in wiring.shared().items():
        if not name.endswith("_PORT"):
            os.environ.setdefault(name, value)


def up(
    demo: Annotated[bool, typer.Option(help="Send the demonstration's traffic when the stack is empty.")] = True,
) -> None:
    """Start the whole stack and wait until it is healthy."""
    from fuel_stat.stack import stack

    with Progress(sys.stderr) as progress:
        stack.up(progress.say)


def down() -> None:
    """Stop the whole stack; the data stays."""
    from fuel_stat.stack import stack

    with Progress(sys.stderr) as progress:
        stack.down(progress.say)
