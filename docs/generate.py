"""Write the pages that are made from code: configuration.md, metrics.md and commands.md.

`python docs/generate.py` writes them; with `--check` it only says which are out of date, and exits 1 then.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import typer
from nailgun_sender.messenger.settings import MessengerSettings
from nailgun_sender.settings import PREFIX
from nailgun_sender.settings import Settings as RecordingSettings

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

from fuel_stat.cli.main import app  # noqa: E402
from fuel_stat.metrics import Metric, Registry  # noqa: E402
from fuel_stat.settings import describe  # noqa: E402

PACKAGES = ("fuel_stat", "ingest_api", "analytics_api", "warehouse", "fleet")
_BY = "<!-- Made from the code by docs/generate.py: do not edit. -->"


def modules_with(mark: str) -> Iterator[ModuleType]:
    """The modules of our packages whose source contains `mark`, imported."""
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            if mark in path.read_text():
                dotted = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
                yield importlib.import_module(dotted.removesuffix(".__init__"))


def settings_classes() -> list[type[Any]]:
    """Every settings class: a dataclass with at least one option."""
    found = [
        thing
        for module in modules_with("= option(")
        for thing in vars(module).values()
        if isinstance(thing, type)
        and thing.__module__ == module.__name__
        and dataclasses.is_dataclass(thing)
        and any("env" in field.metadata for field in dataclasses.fields(thing))
    ]
    return sorted(found, key=lambda cls: cls.__module__)


def declared_metrics() -> dict[str, list[Metric]]:
    """The declared metrics by the top-level package that declares them."""
    found: dict[str, dict[str, Metric]] = {}
    for module in modules_with("Metric("):
        if module.__name__ == "fuel_stat.metrics":
            continue
        package = module.__name__.split(".", maxsplit=1)[0]
        for thing in vars(module).values():
            for metric in _metrics_in(thing):
                found.setdefault(package, {})[metric.name] = metric
    return {package: list(metrics.values()) for package, metrics in sorted(found.items())}


def _metrics_in(thing: object) -> list[Metric]:
    if isinstance(thing, Metric):
        return [thing]
    if isinstance(thing, Registry):
        return list(thing.declarations.values())
    if isinstance(thing, list | tuple):
        return [entry for entry in thing if isinstance(entry, Metric)]
    return []


def configuration_page() -> str:
    """configuration.md: a table a settings class."""
    lines = [
        "# Configuration",
        "",
        _BY,
        "",
        "Every option is an environment variable, read once when a service starts. Every default works on one machine.",
        "`make up` sets what belongs together: addresses, ports and secrets (`<home>` is the state folder,",
        "`.fuel-stat` in the repository unless `FUEL_STAT_HOME` names another).",
    ]
    for cls in settings_classes():
        lines += ["", f"## `{cls.__module__}`", "", _first_line(cls.__doc__), ""]
        lines += ["| variable | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{row.env}` | {_cell(row.default)} | {row.doc.replace('|', '/')} |" for row in describe(cls)
        ]
    for title, node_class in (("recording", RecordingSettings), ("sending", MessengerSettings)):
        lines += ["", f"## `nailgun_sender`, on a node: {title}", "", _first_line(node_class.__doc__), ""]
        lines += ["| variable | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{PREFIX}{each.name.upper()}` | {_cell(str(each.default))} | {each.metadata['doc'].replace('|', '/')} |"
            for each in dataclasses.fields(node_class)
        ]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """metrics.md: a table a service."""
    lines = [
        "# Metrics",
        "",
        _BY,
        "",
        "Prometheus form. A service can only use what it declares: an undeclared name raises.",
    ]
    for package, metrics in declared_metrics().items():
        lines += ["", f"## `{package}`", "", "| name | kind | labels | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{m.name}` | {m.kind} | {', '.join(m.labels) or '–'} | {m.doc.replace('|', '/')} |"
            for m in metrics
        ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """commands.md: every `fuel-stat` command with its options, as its `--help` has them."""
    root = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        _BY,
        "",
        "Exit codes: 0 done; 1 it failed, or what was checked does not hold; 2 the operator's mistake (one line).",
    ]
    for path, command in _leaves(root, ("fuel-stat",)):
        lines += ["", f"## `{' '.join(path)}`", "", " ".join((command.help or "").split())]
        rows = [_parameter_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["", "| option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    names = command.list_commands(click.Context(command)) if hasattr(command, "list_commands") else []
    if not names:
        yield path, command
    for name in names:
        yield from _leaves(command.get_command(click.Context(command), name), (*path, name))


def _parameter_row(parameter: Any) -> str:
    name = ", ".join(f"`{opt}`" for opt in [*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`"
    default = (
        "required"
        if parameter.required
        else _cell("" if parameter.default is None else str(parameter.default))
    )
    return f"| {name} | {default} | {' '.join((getattr(parameter, 'help', None) or '').split()).replace('|', '/')} |"


def _cell(default: str) -> str:
    """A default as shown: no path of the machine on which the page was made."""
    text = default.replace(str(REPOSITORY / ".fuel-stat"), "<home>").replace(str(REPOSITORY), "<repository>")
    if text in ("(generated)", "–"):
        return text
    return f"`{text}`" if text and text != "None" else "–"


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n\n")[0].replace("\n", " ")


PAGES = {
    "configuration.md": configuration_page,
    "metrics.md": metrics_page,
    "commands.md": commands_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; returns the exit code."""
    stale = [name for name, page in PAGES.items() if not _is_current(name, page())]
    for name in stale:
        if "--check" in arguments:
            sys.stderr.write(f"docs/{name} is out of date: run `python docs/generate.py`\n")
        else:
            (DOCS / name).write_text(PAGES[name]())
            sys.stdout.write(f"wrote docs/{name}\n")
    return 1 if stale and "--check" in arguments else 0


def _is_current(name: str, text: str) -> bool:
    path = DOCS / name
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
