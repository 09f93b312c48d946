"""What the command line needs to reach the databases; Airflow passes connections instead."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from fuel_stat.errors import OperatorError
from fuel_stat.settings import from_env, option
from warehouse.extract_alarms import Thresholds


@dataclass(frozen=True)
class Settings:
    """Addresses for ``fuel-stat warehouse``, ``reconcile`` and ``import-legacy``."""

    standby_dsn: str = option(
        "FUEL_STAT_COLLECTOR_STANDBY_DSN",
        "",
        "The collector's database on the standby, as fuel_extract.",
        secret=True,
    )
    admin_dsn: str = option(
        "FUEL_STAT_COLLECTOR_ADMIN_DSN",
        "",
        "The collector's database on the primary, as fuel_admin.",
        secret=True,
    )
    warehouse_dsn: str = option(
        "FUEL_STAT_WAREHOUSE_DSN", "", "The analytic database, as fuel_warehouse.", secret=True
    )
    pepper: str = option("FUEL_STAT_PEPPER", "", "The secret of the pseudonyms, in hexadecimal.", secret=True)
    lag_alarm_seconds: float = option(
        "FUEL_STAT_EXTRACT_LAG_ALARM_SECONDS", 300.0, "Replay lag of the standby that raises an alarm."
    )
    transaction_alarm_seconds: float = option(
        "FUEL_STAT_EXTRACT_TRANSACTION_ALARM_SECONDS",
        900.0,
        "Age of a transaction holding the extraction window that raises an alarm.",
    )

    def pepper_bytes(self) -> bytes:
        """The pepper as bytes.

        Raises:
            OperatorError: ``bad_pepper`` when it is absent or not hexadecimal.
        """
        try:
            pepper = bytes.fromhex(self.pepper)
        except ValueError as error:
            raise OperatorError("bad_pepper", "FUEL_STAT_PEPPER is not hexadecimal.") from error
        if not pepper:
            raise OperatorError("bad_pepper", "FUEL_STAT_PEPPER is not set: is the stack there? `make up`.")
        return pepper

    def thresholds(self) -> Thresholds:
        """When the extraction raises an alarm."""
        return Thresholds(self.lag_alarm_seconds, self.transaction_alarm_seconds)


def alarm_thresholds(environ: Mapping[str, str] | None = None) -> Thresholds:
    """The thresholds alone, for who has the addresses from elsewhere; of this process' environment by default."""
    return from_env(Settings, os.environ if environ is None else environ).thresholds()


def settings(environ: Mapping[str, str]) -> Settings:
    """The settings, complete.

    Raises:
        OperatorError: ``no_stack`` when an address is missing.
    """
    found = from_env(Settings, environ)
    for name in ("standby_dsn", "admin_dsn", "warehouse_dsn"):
        if not getattr(found, name):
            raise OperatorError(
                "no_stack", "There is no running stack, and no addresses are set: run `make up`."
            )
    return found


def command_settings(environ: Mapping[str, str]) -> Settings:
    """The settings for a command, whose output is its answer: only warnings are logged, and to stderr.

    Raises:
        OperatorError: as :func:`settings`.
    """
    structlog.configure(
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    return settings(environ)
