"""The ``fuel-stat`` command: its own subcommands, and those that the services bring along.

A service adds a command by an entry point of the group ``fuel_stat.commands``: a Typer application, or a function
for a single command. They are loaded when they are called, so that a broken one takes no other with it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

from fuel_stat.cli import operations, stack_commands
from fuel_stat.errors import FuelStatError, OperatorError

GROUP = "fuel_stat.commands"


@cache
def plugins() -> Mapping[str, importlib.metadata.EntryPoint]:
    """The commands that services bring along, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


class LazyGroup(TyperGroup):
    """A group that also finds the services' commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Own commands in the order of their declaration, then the services' by name."""
        return [*self.commands, *sorted(set(plugins()) - set(self.commands))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, loaded now; one that cannot be loaded becomes a command that says why."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in plugins():
            return own
        try:
            command = _command_of(plugins()[cmd_name].load())
        except (
            Exception
        ) as error:  # any fault of a plug-in: shown when it is called, and in its line of the help
            command = _broken(cmd_name, error)
        command.name = cmd_name
        return command


def _command_of(thing: typer.Typer | Callable[..., Any]) -> Any:
    if isinstance(thing, typer.Typer):
        return typer.main.get_command(thing)
    single = typer.Typer(add_completion=False)
    single.command()(thing)
    return typer.main.get_command(single)


def _broken(name: str, error: Exception) -> Any:
    def fail() -> None:
        sentence = f"The command {name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise OperatorError("broken_command", " ".join(sentence.split()))

    fail.__doc__ = f"(cannot be loaded: {type(error).__name__})"
    return _command_of(fail)


app = typer.Typer(
    cls=LazyGroup,
    help="Operate Fuel-stat: the local stack, the pipeline, the warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
stack_commands.register(app)
operations.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    Exit codes: 0 done; 1 it failed, or what was checked does not hold; 2 the operator's mistake; 130 interrupted.
    An expected failure is one line on stderr; a traceback means a defect of ours.
    """
    stack_commands.export_environment()
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="fuel-stat", standalone_mode=False)
    except typer.TyperException as error:
        return _say(_usage_sentence(error), error.exit_code)
    except typer.Abort:
        return _say("interrupted", 130)
    except FuelStatError as error:
        return _say(str(error), getattr(error, "exit_code", 1))
    except BrokenPipeError:
        # The reader of our output (head, less) is gone: nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        sentence = _known_failure(error)
        if sentence is None or os.environ.get("FUEL_STAT_TRACEBACK") == "1":
            raise
        return _say(sentence, 1)
    return result if isinstance(result, int) else 0


def _usage_sentence(error: typer.TyperException) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "fuel-stat")
    message = error.format_message()
    if not message:
        return f"Say what to do: see `{path} --help`."
    return f"{message.rstrip('.')}: see `{path} --help`."


def _known_failure(error: Exception) -> str | None:
    """A sentence for what a machine may do to us without being a defect of ours."""
    place, name = type(error).__module__.split(".")[0], type(error).__name__
    first = (str(error).strip().splitlines() or [""])[0]
    if place in ("psycopg", "psycopg2", "sqlalchemy") and name in ("OperationalError", "ConnectionTimeout"):
        return (
            f"A database does not answer ({first}): see `fuel-stat status`, start the stack with `make up`."
        )
    if place == "httpx" and name in ("ConnectError", "ConnectTimeout", "ReadTimeout"):
        return f"A service does not answer ({first}): see `fuel-stat status`, start the stack with `make up`."
    if isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return f"{error.filename}: {error.strerror}."
    return None


def _say(sentence: str, code: int) -> int:
    sys.stdout.flush()
    print("fuel-stat: " + " ".join(sentence.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
