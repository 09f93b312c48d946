"""Exports as tasks: made by a worker from one snapshot, kept as files until they are fetched or too old.

The queue is procrastinate's: its messages live in Postgres, so more workers on more machines only need the two
databases and a shared folder.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import procrastinate
import psycopg
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from analytics_api.database import Marts, Row
from analytics_api.errors import AnalyticsError, NotFoundError, UnavailableError
from analytics_api.exports import catalogue
from analytics_api.parameters import Period
from analytics_api.report_store import ReportStore
from analytics_api.settings import Settings
from fuel_stat import log

NAMESPACE = "analytics_api"
TASK = f"{NAMESPACE}:make_report"
QUEUE = "reports"
ATTEMPTS = 5

_LOG = log.get("analytics_api.reports")


def report_file(folder: Path, report_id: uuid.UUID) -> Path:
    """Where a finished report is."""
    return folder / f"{report_id}.report"


def ensure_schema(settings: Settings) -> None:
    """Create what the queue needs in its database, once: procrastinate's schema and the table of reports."""
    with psycopg.connect(settings.reports_dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('fuel-stat.reports.schema'))")
        row = connection.execute("select to_regclass('procrastinate_jobs')").fetchone()
        if row is None or row[0] is None:
            connector = procrastinate.SyncPsycopgConnector(
                conninfo=settings.reports_dsn, min_size=1, max_size=1
            )
            with procrastinate.App(connector=connector).open() as app:
                app.schema_manager.apply_schema()
    ReportStore(settings.reports_dsn).ensure_schema()


class ReportQueue:
    """The API's side: takes orders for reports and says how they are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ReportStore(settings.reports_dsn) if settings.reports_dsn else None
        self._app: procrastinate.App | None = None

    @property
    def store(self) -> ReportStore:
        """The rows of all tasks.

        Raises:
            UnavailableError: ``reports_disabled`` when no queue is configured, ``reports_unavailable``.
        """
        if self._store is None:
            raise UnavailableError(
                "reports_disabled", "No queue of reports is configured: fetch the export directly."
            )
        self._opened()
        return self._store

    def order(self, name: str, period: Period) -> Row:
        """Queue a report; what is known of it.

        Raises:
            NotFoundError: ``unknown_export``. TooManyError: ``report_queue_full``. UnavailableError.
        """
        catalogue.require(name)
        report_id = self.store.add(name, period, self._settings.report_queue)
        defer(self._opened(), report_id)
        row = self.store.get(report_id)
        if row is None:
            raise UnavailableError("reports_unavailable", "The queue of reports lost the order: try again.")
        return row

    def file(self, row: Row) -> Path:
        """The file of a finished report."""
        return report_file(self._settings.reports_folder, row["report_id"])

    def _opened(self) -> procrastinate.App:
        if self._app is None:
            try:
                ensure_schema(self._settings)
                connector = procrastinate.SyncPsycopgConnector(
                    conninfo=self._settings.reports_dsn, min_size=0, max_size=2, timeout=5
                )
                app = procrastinate.App(connector=connector)
                app.open()
            except (psycopg.Error, ConnectorException) as error:
                raise UnavailableError(
                    "reports_unavailable", "The queue of reports cannot answer now."
                ) from error
            self._app = app
        return self._app


def defer(app: procrastinate.App, report_id: uuid.UUID) -> None:
    """Put a report into the queue; does nothing when it is there already.

    Raises:
        UnavailableError: ``reports_unavailable``.
    """
    order = app.configure_task(TASK, queue=QUEUE, queueing_lock=str(report_id))
    try:
        order.defer(report_id=str(report_id))
    except AlreadyEnqueued:
        return
    except ConnectorException as error:
        raise UnavailableError("reports_unavailable", "The queue of reports cannot answer now.") from error


class ReportMaker:
    """The worker's side: makes one report."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._marts = Marts(settings)
        self._store = ReportStore(settings.reports_dsn)

    def make(self, report_id: uuid.UUID) -> None:
        """Write the file of a report and mark it as done. Safe to repeat: the file appears in one step.

        Raises:
            AnalyticsError: what went wrong; noted with the report, which waits for another attempt while it may.
        """
        report = self._store.begin(report_id)
        if report is None:
            return
        try:
            size, digest, publication_id = self._write(report)
        except AnalyticsError as error:
            again = isinstance(error, UnavailableError) and report["attempts"] < ATTEMPTS
            self._store.fail(report_id, error.code, error.sentence, again=again)
            raise
        except Exception:
            sentence = "The report could not be made; the log of the report worker says why."
            self._store.fail(report_id, "report_failed", sentence, again=report["attempts"] < ATTEMPTS)
            raise
        self._store.finish(report_id, size, digest, publication_id)
        _LOG.info("report_made", report_id=str(report_id), name=report["name"], bytes=size)

    def _write(self, report: Row) -> tuple[int, str, int | None]:
        if report["name"] not in catalogue.NAMES:
            raise NotFoundError("unknown_export", "There is no export of that name any more.")
        period = Period(report["from_date"], report["to_date"])
        path = report_file(self._settings.reports_folder, report["report_id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part-{os.getpid()}")
        digest, size = hashlib.sha256(), 0
        try:
            with part.open("wb") as file, self._marts.snapshot(self._settings.export_seconds) as snapshot:
                publication = snapshot.publication()
                for chunk in catalogue.chunks(report["name"], snapshot, period):
                    digest.update(chunk)
                    size += file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return size, digest.hexdigest(), int(publication) if publication else None

    def expire(self) -> None:
        """Delete the files of reports that are too old, and what killed workers left half-written."""
        for report_id in self._store.expire(self._settings.report_days):
            report_file(self._settings.reports_folder, report_id).unlink(missing_ok=True)
            _LOG.info("report_expired", report_id=str(report_id))
        for part in self._settings.reports_folder.glob("*.part-*"):
            pid = part.suffix.removeprefix(".part-")
            if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
                part.unlink(missing_ok=True)

    def waiting(self) -> list[uuid.UUID]:
        """Reports that were ordered a while ago and may have missed the queue."""
        return self._store.waiting(self._settings.stalled_seconds)
