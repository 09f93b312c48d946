"""The operator's door: one line for a mistake, and one broken plug-in breaks nothing else."""

from __future__ import annotations

import importlib.metadata
import io
from pathlib import Path

import pytest
import typer

from fuel_stat.cli import main
from fuel_stat.errors import FuelStatError, OperatorError


@pytest.fixture(autouse=True)
def no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no stack of the developer's."""
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path / "home"))


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--frobnicate",),
        ("up", "--frobnicate"),
        ("nonsense",),
        ("logs", "ingest"),
        ("status",),
        ("logs", "-n", "many"),
        ("pipeline", "run", "--conf", "[1]"),
        ("standby", "rebuild"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Wrong options and commands without a stack: what is wrong and what to do, no traceback."""
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert err.startswith("fuel-stat: ")
    assert err.count("\n") == 1


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each own command says something and ends with 0."""
    for command in ("up", "down", "reset", "status", "logs", "config", "pipeline", "standby"):
        code, out, _ = call(capsys, command, "--help")
        assert code == 0
        assert command in out


def plug(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Add an entry point as an installed package would."""
    point = importlib.metadata.EntryPoint(name, value, main.GROUP)
    monkeypatch.setattr(main, "plugins", lambda: {name: point})


def test_a_broken_plug_in_is_named_and_takes_nothing_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own call says why in one line; the help still lists everything."""
    plug(monkeypatch, "broken", "no_such_module:app")
    code, _, err = call(capsys, "broken")
    assert code == 2
    assert "no_such_module" in err
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert "broken" in out
    assert "status" in out


def operator_mistake() -> None:
    """Fails as a service's command does on a wrong argument."""
    raise OperatorError("wrong_day", "That is not a day.")


def expected_failure() -> None:
    """Fails as a service's command does when what it wants cannot be done."""
    raise FuelStatError("refused", "The database\nrefuses.")


def disagreement() -> None:
    """Ends with a code of its own."""
    raise typer.Exit(1)


def unreadable() -> None:
    """Opens a file that is not there."""
    Path("/nowhere/at/all").read_text()


@pytest.mark.parametrize(
    ("function", "code", "line"),
    [
        ("operator_mistake", 2, "fuel-stat: That is not a day. [wrong_day]\n"),
        ("expected_failure", 1, "fuel-stat: The database refuses. [refused]\n"),
        ("disagreement", 1, ""),
        ("unreadable", 1, "fuel-stat: /nowhere/at/all: No such file or directory.\n"),
    ],
)
def test_a_services_errors_become_codes_and_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, function: str, code: int, line: str
) -> None:
    """OperatorError is 2, other expected failures 1, and typer's exit codes pass."""
    point = importlib.metadata.EntryPoint("service", "unused", main.GROUP)
    monkeypatch.setattr(main, "plugins", lambda: {"service": point})
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: globals()[function])
    assert call(capsys, "service") == (code, "", line)


def test_a_folder_that_cannot_be_written_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`up` into a place that is not a folder says so, and what to set."""
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("FUEL_STAT_HOME", str(file / "below"))
    code, _, err = call(capsys, "up")
    assert code == 2
    assert str(file) in err
    assert "FUEL_STAT_HOME" in err


def test_reset_asks_and_without_a_terminal_refuses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Data is never deleted by a script that did not say --yes."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("data")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = call(capsys, "reset")
    assert code == 2
    assert "--yes" in err
    assert (home / "precious").exists()
    code, _, _ = call(capsys, "reset", "--yes")
    assert code == 0
    assert not home.exists()
