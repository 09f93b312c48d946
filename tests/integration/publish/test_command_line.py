"""`fuel-stat warehouse publications` and `rollback`, as an operator types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fuel_stat.cli import main
from warehouse import publish

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Runs a command against the test's warehouse: exit code, output, errors."""
    monkeypatch.setenv("FUEL_STAT_HOME", str(tmp_path))
    for name in ("WAREHOUSE", "COLLECTOR_STANDBY", "COLLECTOR_ADMIN"):
        monkeypatch.setenv(f"FUEL_STAT_{name}_DSN", warehouse.dsn)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()  # what was logged before
        with pytest.raises(SystemExit) as ended:
            main.main(("warehouse", *arguments))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_publications_are_listed_and_the_shown_one_is_marked(warehouse, call: Call):
    """Newest first, with state, changes and why one failed; an arrow at what readers see; the same as JSON."""
    warehouse.publish()
    warehouse.build(2)
    shown = warehouse.publish()
    failed = publish.begin(warehouse.connection).publication_id
    publish.fail(warehouse.connection, failed, "audit_failed", "keys_are_unique: 3 keys twice")
    code, out, _ = call("publications")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == [str(failed), "->", "1"]
    assert "keys_are_unique: 3 keys twice" in lines[0]
    assert lines[1].split()[1:3] == [str(shown), "published"]
    assert "+100 -100" in lines[1]
    _, out, _ = call("publications", "--json", "--limit", "2")
    found = json.loads(out)
    assert [(one["publication_id"], one["is_current"]) for one in found] == [(failed, False), (shown, True)]


def test_rollback_shows_the_one_before_at_once(warehouse, call: Call):
    """Readers see the earlier version when the command returns; with nothing before, one line says so."""
    first = warehouse.publish()
    code, _, err = call("rollback")
    assert code == 2
    assert "no earlier publication" in err
    warehouse.build(2)
    second = warehouse.publish()
    code, out, _ = call("rollback")
    assert (code, out) == (0, f"readers see publication {first} again\n")
    assert warehouse.seen() == (1, 1, 50)
    code, _, _ = call("rollback", "--to", str(second))
    assert code == 0
    assert warehouse.seen() == (2, 2, 50)
