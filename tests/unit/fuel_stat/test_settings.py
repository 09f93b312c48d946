"""Settings are read once, from the environment, with clear errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.settings import describe, from_env, masked, option


@dataclass(frozen=True)
class Example:
    """A service's options."""

    port: int = option("EXAMPLE_PORT", 8101, "Where it listens.")
    folder: Path | None = option("EXAMPLE_FOLDER", None, "Where files go.")
    debug: bool = option("EXAMPLE_DEBUG", False, "More words.")
    token: str = option("EXAMPLE_TOKEN", "", "A secret.", secret=True)


def test_defaults_hold_where_the_environment_is_silent():
    """An empty environment gives the declared defaults."""
    assert from_env(Example, {}) == Example(8101, None, False, "")


def test_values_are_read_as_their_types():
    """Numbers, paths and switches arrive as such."""
    given = {"EXAMPLE_PORT": "1", "EXAMPLE_FOLDER": "/x", "EXAMPLE_DEBUG": "Yes", "OTHER": "ignored"}
    assert from_env(Example, given) == Example(1, Path("/x"), True, "")


@pytest.mark.parametrize(("env", "value"), [("EXAMPLE_PORT", "eighty"), ("EXAMPLE_DEBUG", "perhaps")])
def test_a_bad_value_is_refused_by_name(env, value):
    """The error names the variable and shows the value."""
    with pytest.raises(OperatorError) as caught:
        from_env(Example, {env: value})
    assert caught.value.code == "bad_option"
    assert env in str(caught.value)
    assert value in str(caught.value)


def test_secrets_are_never_shown():
    """A secret's value is masked at boot and its default is not printed in the configuration page."""
    assert masked(Example(token="s3cret"))["token"] == "***"
    assert [row.default for row in describe(Example) if row.secret] == ["(generated)"]
