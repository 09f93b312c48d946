"""What `fuel-stat status` shows to people."""

from __future__ import annotations

from typing import Any

import pytest

from fuel_stat.cli.tables import status_table


def answer(exposed: list[str]) -> dict[str, Any]:
    """A status in which all is well."""
    service = {"url": "http://127.0.0.1:8001", "healthy": True}
    return {
        "services": {"ingest": {**service, "exposed": exposed}, "analytics": service},
        "databases": {"analytic": {"dsn": "postgresql://x", "healthy": True}},
        "processes": {},
        "pipeline": {"state": "published", "freshness_seconds": 60.0},
        "backup": {"last": None},
        "partitions": {"runway_days": 90},
        "folders": {"databases": "/data"},
    }


def test_plain_http_beyond_loopback_is_red(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address that can be read along has a line of its own, in red; without one there is no such line."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    status_table(answer(["10.0.0.5:8001"]))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "10.0.0.5:8001" in line]
    assert "\x1b[1;31mplain HTTP" in line
    status_table(answer([]))
    assert "plain HTTP" not in capsys.readouterr().out
