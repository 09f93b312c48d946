"""The options of the analytics API."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from pathlib import Path

from fuel_stat.settings import option
from fuel_stat.state import REPOSITORY


def _pepper(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (ValueError, binascii.Error):
        raise ValueError("expected hexadecimal digits") from None


@dataclass(frozen=True)
class Settings:
    """Read once, when the application is made."""

    dsn: str = option(
        "FUEL_STAT_ANALYTICS_DSN",
        "postgresql://fuel_analytics@127.0.0.1:5434/analytic",
        "Analytic database as a libpq URL, with a role that may only read what is published.",
        secret=True,
    )
    reports_dsn: str = option(
        "FUEL_STAT_REPORTS_DSN",
        "",
        "Database of the report queue; empty: reports can only be fetched directly.",
        secret=True,
    )
    pepper: bytes = option(
        "FUEL_STAT_PEPPER",
        b"",
        "Key of the pseudonyms (hexadecimal); without it, installations are found by pseudonym only.",
        secret=True,
        parse=_pepper,
    )
    home: Path = option(
        "FUEL_STAT_HOME",
        REPOSITORY / ".fuel-stat",
        "State folder: Data Docs, dbt docs and report files are below it.",
    )
    reports: Path | None = option(
        "FUEL_STAT_REPORTS",
        None,
        "Folder of finished report files; by default `reports` in the state folder.",
    )
    page: Path = option(
        "FUEL_STAT_ANALYTICS_PAGE",
        REPOSITORY / "analytics_ui" / "dist",
        "Folder of the built web page.",
    )
    token: str = option(
        "FUEL_STAT_ANALYTICS_TOKEN",
        "",
        "When set, reading needs it: as a bearer token, or once in the sign-in form of the page.",
        secret=True,
    )
    session_hours: float = option(
        "FUEL_STAT_ANALYTICS_SESSION_HOURS", 12.0, "How long a sign-in on the page lasts, in hours."
    )
    query_seconds: float = option(
        "FUEL_STAT_ANALYTICS_QUERY_SECONDS", 20.0, "Longest time one JSON query may take, in seconds."
    )
    export_seconds: float = option(
        "FUEL_STAT_ANALYTICS_EXPORT_SECONDS", 600.0, "Longest time one statement of an export may take."
    )
    export_slots: int = option(
        "FUEL_STAT_ANALYTICS_EXPORT_SLOTS",
        2,
        "Exports streamed at once by one worker process; further ones are told to use report tasks.",
    )
    report_days: float = option(
        "FUEL_STAT_ANALYTICS_REPORT_DAYS", 7.0, "Days after which a finished report file is deleted."
    )

    report_queue: int = option(
        "FUEL_STAT_ANALYTICS_REPORT_QUEUE",
        100,
        "Report tasks that may wait or run at once; more are refused.",
    )
    upkeep_seconds: float = option(
        "FUEL_STAT_ANALYTICS_UPKEEP_SECONDS",
        30.0,
        "How often the report worker takes up tasks of dead workers and deletes old files, in seconds.",
    )
    stalled_seconds: float = option(
        "FUEL_STAT_ANALYTICS_STALLED_SECONDS",
        30.0,
        "A report worker that gave no sign of life for so long is taken for dead.",
    )

    @property
    def reports_folder(self) -> Path:
        """Where finished report files are."""
        return self.reports or self.home / "reports"
