"""The report worker: ``python -m analytics_api.worker``. Ends on SIGTERM after the report at hand."""

from __future__ import annotations

import asyncio
import os
import uuid
from functools import partial

import procrastinate

from analytics_api.report_tasks import ATTEMPTS, NAMESPACE, QUEUE, TASK, ReportMaker, ensure_schema
from analytics_api.settings import Settings
from fuel_stat import log
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


def main() -> None:
    """Start from the environment.

    Raises:
        OperatorError: ``bad_option``.
    """
    log.configure("report_worker")
    settings = from_env(Settings, os.environ)
    _LOG.info("starting", **masked(settings))
    ensure_schema(settings)
    asyncio.run(work(settings))


if __name__ == "__main__":
    main()
