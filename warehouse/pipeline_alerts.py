"""Whom a failed run tells: the log, the database, the metrics file, and a webhook or mailbox when configured."""

from __future__ import annotations

import os
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import httpx
import psycopg

from fuel_stat import log, state
from fuel_stat.metrics import Metric
from fuel_stat.settings import from_env, option
from warehouse.pipeline import connect, give_up

logger = log.get(__name__)
METRICS = (
    Metric(
        "fuel_stat_pipeline_failures_total",
        "counter",
        "Tasks that failed for good, by DAG and code.",
        ("dag", "code"),
    ),
)
_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class AlertSettings:
    """Where failures are told besides the log and the database."""

    webhook: str = option(
        "FUEL_STAT_ALERT_WEBHOOK",
        "",
        "URL that gets a JSON POST when a pipeline task fails; empty: none.",
        secret=True,
    )
    mail_to: str = option("FUEL_STAT_ALERT_MAIL_TO", "", "Mailbox that is told of failures; empty: none.")
    mail_from: str = option("FUEL_STAT_ALERT_MAIL_FROM", "fuel-stat@localhost", "Sender of these mails.")
    smtp_host: str = option("FUEL_STAT_ALERT_SMTP_HOST", "127.0.0.1", "Mail server for alerts.")
    smtp_port: int = option("FUEL_STAT_ALERT_SMTP_PORT", 25, "Port of the mail server for alerts.")


@dataclass(frozen=True)
class Failure:
    """A task that failed for good: where, in which run, at which try, with what."""

    dag: str
    task: str
    run_id: str
    tries: int
    error: BaseException | None

    @property
    def code(self) -> str:
        return str(getattr(self.error, "code", None) or type(self.error).__name__)

    @property
    def sentence(self) -> str:
        return str(
            getattr(self.error, "sentence", None) or self.error or "the task's process ended without a word"
        )

    def document(self) -> dict[str, object]:
        """What a webhook gets."""
        return {
            "dag": self.dag,
            "task": self.task,
            "run_id": self.run_id,
            "tries": self.tries,
            "code": self.code,
            "message": self.sentence[:2000],
        }


def report(failure: Failure, warehouse_dsn: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Tell of a failure by every way that is configured; says which were taken. One that fails stops no other."""
    told = ["log"]
    logger.error("task_failed", **failure.document())
    settings = from_env(AlertSettings, os.environ if environ is None else environ)
    try:
        _record(failure, warehouse_dsn)
        told.append("database")
    except psycopg.Error as error:
        logger.error("alert_failed", way="database", error=str(error))
    if settings.webhook:
        try:
            httpx.post(settings.webhook, json=failure.document(), timeout=_TIMEOUT_SECONDS).raise_for_status()
            told.append("webhook")
        except httpx.HTTPError as error:
            logger.error("alert_failed", way="webhook", error=str(error))
    if settings.mail_to:
        try:
            _mail(failure, settings)
            told.append("mail")
        except OSError as error:
            logger.error("alert_failed", way="mail", error=str(error))
    return told


def _record(failure: Failure, warehouse_dsn: str) -> None:
    give_up(warehouse_dsn, failure.run_id, failure.code, f"{failure.task}: {failure.sentence}")
    with connect(warehouse_dsn) as connection:
        connection.execute(
            "insert into ops.pipeline_failure (dag, task, run_id, tries, code, message)"
            " values (%s, %s, %s, %s, %s, %s)",
            (failure.dag, failure.task, failure.run_id, failure.tries, failure.code, failure.sentence[:2000]),
        )
        rows = connection.execute(
            "select dag, code, count(*) from ops.pipeline_failure group by dag, code order by dag, code"
        ).fetchall()
    _write_metrics(state.home() / "metrics" / "pipeline.prom", rows)


def _write_metrics(path: Path, rows: list[tuple[str, str, int]]) -> None:
    """For the textfile collector of a node exporter: tasks live too short to be asked."""
    metric = METRICS[0]
    lines = [f"# HELP {metric.name} {metric.doc}", f"# TYPE {metric.name} counter"]
    lines += [f'{metric.name}{{dag="{dag}",code="{code}"}} {count}' for dag, code, count in rows]
    state.write_atomically(path, "\n".join(lines) + "\n")


def _mail(failure: Failure, settings: AlertSettings) -> None:
    message = EmailMessage()
    message["Subject"] = f"Fuel-stat: {failure.dag} failed at {failure.task} ({failure.code})"
    message["From"], message["To"] = settings.mail_from, settings.mail_to
    message.set_content(f"Run {failure.run_id}, try {failure.tries}.\n\n{failure.sentence}\n")
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=_TIMEOUT_SECONDS) as server:
        server.send_message(message)
