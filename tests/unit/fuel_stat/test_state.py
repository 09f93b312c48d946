"""What the stack remembers survives, and secrets are for their owner only."""

from __future__ import annotations

import stat

import pytest

from fuel_stat.errors import OperatorError
from fuel_stat.state import read_secrets, read_state, write_secrets, write_state


def test_state_is_read_back(tmp_path):
    """What was written is read; before that, nothing is."""
    assert read_state(tmp_path) == {}
    write_state({"ports": {"ingest": 1}}, tmp_path)
    assert read_state(tmp_path) == {"ports": {"ingest": 1}}


def test_secrets_have_mode_600(tmp_path):
    """Only the owner may read the secrets file, also after it was rewritten."""
    write_secrets({"A": "1"}, tmp_path)
    write_secrets({"A": "2", "B": "x=y"}, tmp_path)
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    assert read_secrets(tmp_path) == {"A": "2", "B": "x=y"}


def test_a_broken_state_file_is_an_operators_error(tmp_path):
    """Half a file is reported with what to do, not with a traceback."""
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(OperatorError, match="make up"):
        read_state(tmp_path)
