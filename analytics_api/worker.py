"""The report worker: ``python -m analytics_api.worker``. Ends on SIGTERM after the report at hand."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from functools import partial

import procrastinate
import psycopg

from analytics_api.errors import AnalyticsError
from analytics_api.report_tasks import ATTEMPTS, NAMESPACE, QUEUE, TASK, ReportMaker, ensure_schema
from analytics_api.settings import Settings
from fuel_stat import log
from fuel_stat.errors import OperatorError
from fuel_stat.postgres import Dsn
from fuel_stat.settings import from_env, masked

_LOG = log.get("analytics_api.worker")


def tasks(maker: ReportMaker) -> procrastinate.Blueprint:
    """The tasks that a worker can do."""
    blueprint = procrastinate.Blueprint()
    retry = procrastinate.RetryStrategy(max_attempts=ATTEMPTS, wait=1, exponential_wait=2)

    @blueprint.task(name="make_report", queue=QUEUE, retry=retry)
    def make_report(report_id: str) -> None:
        maker.make(uuid.UUID(report_id))

    return blueprint


async def keep_up(app: procrastinate.App, maker: ReportMaker, settings: Settings) -> None:
    """For ever: take up what dead workers left, queue again what missed the queue, delete what is too old."""
    while True:
        await asyncio.sleep(settings.upkeep_seconds)
        try:
            await take_up_stalled(app, settings.stalled_seconds)
            for report_id in await asyncio.to_thread(maker.waiting):
                order = app.configure_task(TASK, queue=QUEUE, queueing_lock=str(report_id))
                try:
                    await order.defer_async(report_id=str(report_id))
                except procrastinate.exceptions.AlreadyEnqueued:
                    continue
            await asyncio.to_thread(maker.expire)
        except Exception:
            # The next round tries again; a database that is away for a while must not end the worker.
            _LOG.exception("upkeep_failed")


async def take_up_stalled(app: procrastinate.App, seconds: float) -> None:
    """Queue again the jobs whose worker has given no sign of life for that long."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        _LOG.warning("report_taken_up", job_id=job.id)
        await app.job_manager.retry_job(job)


async def work(settings: Settings) -> None:
    """Do reports until stopped."""
    maker = ReportMaker(settings)
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=settings.reports_dsn, min_size=1, max_size=4)
    )
    app.add_tasks_from(tasks(maker), namespace=NAMESPACE)
    async with app.open_async():
        upkeep = asyncio.create_task(keep_up(app, maker, settings))
        run = partial(app.run_worker_async, queues=[QUEUE], name=f"reports-{os.getpid()}", concurrency=1)
        try:
            await run(
                update_heartbeat_interval=settings.stalled_seconds / 3,
                stalled_worker_timeout=settings.stalled_seconds,
                fetch_job_polling_interval=2.0,
                delete_jobs="successful",
            )
        finally:
            upkeep.cancel()


def prepared() -> Settings:
    """The settings, with the queue's schema in place.

    Raises:
        OperatorError: ``bad_option``, ``no_queue`` when no database is named or it does not answer.
    """
    settings = from_env(Settings, os.environ)
    if not settings.reports_dsn:
        raise OperatorError(
            "no_queue", "FUEL_STAT_REPORTS_DSN names no database: there is no queue to work on."
        )
    try:
        ensure_schema(settings)
    except (psycopg.OperationalError, AnalyticsError) as error:
        shown = Dsn.parse(settings.reports_dsn).shown
        raise OperatorError("no_queue", f"The database of the queue, {shown}, does not answer.") from error
    return settings


def main() -> None:
    """Start from the environment; an operator's mistake is one line on stderr and exit code 2."""
    log.configure("report_worker")
    try:
        settings = prepared()
    except OperatorError as error:
        sys.stderr.write(f"report worker: {error}\n")
        raise SystemExit(error.exit_code) from None
    _LOG.info("starting", **masked(settings))
    asyncio.run(work(settings))


if __name__ == "__main__":
    main()
