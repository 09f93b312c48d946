"""The documents are true: generated pages current, commands and targets exist, links lead somewhere."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from fuel_stat.cli.main import app

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
DOCUMENTS = sorted(
    path
    for path in [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *(REPOSITORY / "deploy").rglob("*.md")]
    if "evidence" not in path.parts
)


def generator() -> Any:
    """The script that writes the generated pages, as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_of(path: Path) -> Iterator[str]:
    """The lines of code blocks and the inline code of a document."""
    text = path.read_text()
    for block in re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, flags=re.S | re.M):
        yield from block.replace("\\\n", " ").splitlines()
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside))


def quoted(pattern: str) -> list[tuple[str, str]]:
    """Pairs (document, match) of everything in code that matches."""
    return sorted(
        {
            (str(path.relative_to(REPOSITORY)), match)
            for path in DOCUMENTS
            for code in code_of(path)
            for match in re.findall(pattern, code)
        }
    )


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words that are left (arguments and options)."""
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "list_commands"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            break
        command, words = found, words[1:]
    return command, words


COMMANDS = quoted(r"(?:(?<=\.venv/bin/)|(?<![\w./-]))fuel-stat(?![\w/.-])((?: [^\s|;&#`)]+)*)")


@pytest.mark.parametrize("page", ["configuration.md", "metrics.md", "commands.md"])
def test_generated_pages_are_current(page: str) -> None:
    """The page is what the code makes now; `python docs/generate.py` writes it."""
    assert (DOCS / page).read_text() == generator().PAGES[page]()


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_every_quoted_command_exists(document: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each `fuel-stat ...` in a document names a command that can be loaded, whose help works, with its options."""
    command, rest = command_of(line.split())
    options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    if hasattr(command, "list_commands"):
        assert not rest or rest[0] in ("…", "NAME", "--help"), f"{document}: fuel-stat{line}: no such command"
    for word in rest:
        if word.startswith("--"):
            assert word.split("=")[0] in {*options, "--help"}, (
                f"{document}: fuel-stat{line}: no option {word}"
            )
    assert "cannot be loaded" not in (command.help or ""), f"{document}: fuel-stat{line} cannot be loaded"
    command.main(["--help"], prog_name="fuel-stat", standalone_mode=False)
    assert "Usage" in capsys.readouterr().out


def test_commands_are_found_at_all() -> None:
    """The documents quote commands, and an invented one is told from a real one."""
    assert len(COMMANDS) > 20
    assert command_of(["fleet", "run"])[1] == []
    assert command_of(["invented"])[1] == ["invented"]


@pytest.mark.parametrize(("document", "target"), quoted(r"(?<![\w./-])make ([a-z][a-z-]+)"))
def test_every_quoted_make_target_exists(document: str, target: str) -> None:
    """Each `make ...` in a document is a target of the Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text()
    rules = re.findall(r"^([a-z][\w -]*):(?!=)", makefile, flags=re.M)
    assert target in {name for names in rules for name in names.split()}, f"{document}: make {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a document is a file or folder of the repository."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_attack_has_its_test() -> None:
    """Each row of the table of attacks names tests that exist."""
    rows = re.findall(r"^\|.*\| (`[^|]*`) \|$", (DOCS / "security.md").read_text(), flags=re.M)
    named = [name for row in rows for name in re.findall(r"`([\w/.]+::\w+)`", row)]
    assert len(rows) > 20
    assert len(named) >= len(rows)
    for name in named:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (REPOSITORY / "tests" / file).read_text(), name


def test_every_direct_dependency_has_its_reason() -> None:
    """Each dependency of pyproject.toml is named in a decision record."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=! ]", requirement)[0] for requirement in wanted}
    records = "".join(path.read_text() for path in (DOCS / "adr").glob("*.md"))
    spelled = {
        name
        for name in names
        if f"`{name}`" not in records and f"`{name.removesuffix('-binary')}`" not in records
    }
    assert spelled == set()


def test_every_decision_is_half_a_page_and_listed() -> None:
    """A record has the four parts, fits on a page, and the index lists it."""
    index = (DOCS / "adr" / "README.md").read_text()
    for path in (DOCS / "adr").glob("[0-9]*.md"):
        text = path.read_text()
        assert re.findall(r"^## (\w+)", text, flags=re.M) == [
            "Context",
            "Options",
            "Decision",
            "Consequences",
        ]
        assert len(text.split()) < 450, path.name
        assert path.name in index


def test_alerts_name_declared_metrics_and_runbooks() -> None:
    """Every metric in the example alerts is declared by a service, and every runbook that they name exists."""
    alerts = (REPOSITORY / "deploy" / "alerts.yml").read_text()
    declared = {metric.name for metrics in generator().declared_metrics().values() for metric in metrics}
    used = set(re.findall(r"\((\w+_total|\w+_seconds)\[", alerts))
    assert used
    assert used <= declared
    assert all((REPOSITORY / path).exists() for path in re.findall(r"runbook: (\S+)", alerts))


def test_every_runbook_is_in_the_index() -> None:
    """An operator finds each runbook by what he sees."""
    index = (DOCS / "runbooks" / "README.md").read_text()
    assert all(f"({path.name})" in index for path in (DOCS / "runbooks").glob("[a-z]*.md"))
