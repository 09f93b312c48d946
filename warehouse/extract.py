"""Extraction: from the collector's standby to raw, every landed record exactly once.

A run first checks that what was loaded still agrees with the source (:mod:`warehouse.windows`) and compares again
where it does not (:mod:`warehouse.reload_resync`); then it loads the window from the watermark to the snapshot's
xmin, in chunks, each in one transaction on the analytic side. It may be killed at any moment and started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from fuel_stat import log
from warehouse.drift import scan_drift
from warehouse.errors import ExtractionError
from warehouse.extract_alarms import Alarm, Thresholds, alarms_of, holder_before, oldest_transaction
from warehouse.extract_chunk import Chunk, load_chunk
from warehouse.extract_lanes import Lanes
from warehouse.extract_report import LoadReport
from warehouse.extract_retries import is_recovery_conflict, is_transient
from warehouse.extract_source import Source, open_source
from warehouse.extract_tell import standing_alarms, tell_alarms
from warehouse.load import Pseudonyms, finish_load, new_load, open_warehouse
from warehouse.load_records import tolerantly
from warehouse.reload_resync import Resync, resync
from warehouse.windows import Agreement, compare_windows, loaded_windows

_log = log.get(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """How a run behaves.

    ``attempts`` counts tries of a chunk; ``chunk_landings`` is halved on each recovery conflict. New records are
    looked through for drift for about ``drift_seconds`` at the end (0: not at all); the next run goes on from there.
    """

    chunk_landings: int = 1_000
    attempts: int = 6
    backoff_seconds: float = 0.5
    reason: str = "scheduled"
    accept_new_source: bool = False
    drift_seconds: float = 5.0
    thresholds: Thresholds = field(default_factory=Thresholds)


class _Run:
    """The state of one run: connections' addresses, options, retries, and what was loaded so far."""

    def __init__(
        self, standby_dsn: str, warehouse_dsn: str, pepper: bytes, primary_dsn: str | None, options: Options
    ) -> None:
        self.standby_dsn = standby_dsn
        self.warehouse_dsn = warehouse_dsn
        self.primary_dsn = primary_dsn
        self.options = options
        self.pseudonyms = Pseudonyms(pepper)
        self.chunk_landings = options.chunk_landings
        self.report = LoadReport((), 0, 0)
        self._attempt = 0
        self._settled = False

    def go(self, connection: psycopg.Connection[Any]) -> LoadReport:
        """Check the windows, compare again where they disagree, then load what is new."""
        begun = time.monotonic()
        target = self._retrying(lambda: self._begin(connection))
        self._retrying(lambda: self._backlog(connection, target))
        return replace(self.report, seconds=time.monotonic() - begun)

    def _retrying(self, work: Callable[[], T]) -> T:
        """Do the work, again after a recovery conflict or while the standby is away; progress is counted anew."""
        self._attempt = 0
        while True:
            try:
                return work()
            except (psycopg.Error, ExtractionError) as error:
                self._attempt += 1
                if not is_transient(error) or self._attempt == self.options.attempts:
                    raise
                if is_recovery_conflict(error):
                    self.chunk_landings = max(1, self.chunk_landings // 2)
                self.report = replace(self.report, retries=self.report.retries + 1)
                _log.warning("extraction_retried", attempt=self._attempt, error=str(error).strip())
                time.sleep(self.options.backoff_seconds * 2 ** (self._attempt - 1))

    def _begin(self, connection: psycopg.Connection[Any]) -> int:
        """Check, and load the first chunk where it is all there is (as it mostly is); returns where the run ends.

        The end is fixed by this snapshot, so that a run ends whatever lands meanwhile.
        """
        with open_source(self.standby_dsn) as source:
            resynced = self._check(connection, source)
            windows = loaded_windows(connection, limit=1)
            start = windows[0].to_xid if windows else 0
            self.report = replace(self.report, from_xid=start, to_xid=start)
            if resynced:
                self.report = self.report.with_resync(resynced)
            target = max(start, source.snapshot.xmin)
            if source.cut(start, target, self.chunk_landings) == target:
                chunk = self._describe(connection, source, start, target)
                self.report = self.report.add(
                    load_chunk(connection, self.warehouse_dsn, source, chunk, self.pseudonyms)
                )
            return target

    def _backlog(self, connection: psycopg.Connection[Any], target: int) -> None:
        """Several chunks, two at a time."""
        lanes = Lanes(self.standby_dsn, self.warehouse_dsn, self.pseudonyms, self._describe)
        for result in lanes.load(connection, self.report.to_xid, target, self.chunk_landings):
            self.report = self.report.add(result)
            self._attempt = 0

    def _check(self, connection: psycopg.Connection[Any], source: Source) -> Resync | None:
        agreement = compare_windows(connection, source)
        if agreement.boundary is None:
            return None
        self._confirm(source)
        if not agreement.common and not self.options.accept_new_source:
            raise ExtractionError(
                "source_shares_no_history",
                "Nothing that was loaded is in this source: is it the right server? If its history really was"
                " replaced, run `fuel-stat warehouse extract --accept-new-source`.",
            )
        _log.warning("windows_disagree", boundary=agreement.boundary, watermark=agreement.watermark)
        return self._resync(connection, source, agreement)

    def _confirm(self, source: Source) -> None:
        """A standby that was killed shows for a moment less than before: that is no lost history.

        Only a snapshot that was taken after the standby had replayed all it had received is believed.
        """
        if not self._settled and source.snapshot.in_recovery:
            self._settled = source.is_settled()
            raise ExtractionError(
                "source_went_back", "The standby shows less than was loaded; it may still be starting."
            )

    def _resync(self, connection: psycopg.Connection[Any], source: Source, agreement: Agreement) -> Resync:
        return tolerantly(
            connection,
            self.warehouse_dsn,
            lambda checker: resync(
                connection,
                source,
                agreement.boundary or 0,
                self.pseudonyms,
                self.options.reason,
                checker=checker,
            ),
        )

    def _describe(self, connection: psycopg.Connection[Any], source: Source, start: int, end: int) -> Chunk:
        """A chunk as this snapshot sees it, and who holds the window meanwhile."""
        snapshot = source.snapshot
        if snapshot.xmin < end:
            raise ExtractionError(
                "source_went_back", "The source lost history while it was read; the next run compares again."
            )
        holder = None
        if snapshot.xmin < snapshot.xmax:
            moves = source.max_xid(start, end) is not None
            holder = oldest_transaction(snapshot, self.primary_dsn, holder_before(connection), moves=moves)
        found = alarms_of(snapshot, holder, self.options.thresholds)
        return Chunk(start, end, self.options.reason, holder, found)


def run_extract(
    standby_dsn: str,
    warehouse_dsn: str,
    pepper: bytes,
    *,
    primary_dsn: str | None = None,
    reason: str | None = None,
    options: Options | None = None,
) -> LoadReport:
    """Load everything that has landed since the last run.

    Args:
        standby_dsn: the collector's database on the standby, as fuel_extract.
        warehouse_dsn: the analytic database, as fuel_warehouse.
        pepper: the secret of the pseudonyms; uids never reach the analytic database.
        primary_dsn: the collector's primary (a role with pg_monitor), to say who holds the window. Optional.
        reason: why it runs, for the load rows; by default the options' (``scheduled``).
        options: see :class:`Options`.

    Raises:
        ExtractionError: codes ``extraction_running``, ``source_shares_no_history``, ``source_went_back``,
            ``expansion_mismatch``, ``source_unavailable``, ``load_failed``. A failed load row says so too.
    """
    options = options or Options()
    if reason is not None:
        options = replace(options, reason=reason)
    run = _Run(standby_dsn, warehouse_dsn, pepper, primary_dsn, options)
    with open_warehouse(warehouse_dsn) as connection:
        try:
            standing = standing_alarms(connection)
            report = run.go(connection)
        except (psycopg.Error, ExtractionError) as error:
            failure = _as_extraction_error(error)
            _note_failure(connection, run.options.reason, failure)
            if failure is error:
                raise
            raise failure from error
    tell_alarms(report.alarms, standing, run.options.reason, warehouse_dsn)
    if report.records and options.drift_seconds > 0:
        report = replace(report, new_paths=_drift(warehouse_dsn, options.drift_seconds))
    _log.info(
        "extracted",
        loads=list(report.load_ids),
        landings=report.landings,
        records=report.records,
        bytes=report.bytes,
        seconds=round(report.seconds, 3),
        lag_seconds=report.lag_seconds,
        alarms=[alarm.code for alarm in report.alarms],
    )
    return report


def _drift(warehouse_dsn: str, seconds: float) -> int:
    """How many paths are new. The records are loaded: a failure is for the log, and the next run looks again."""
    try:
        return scan_drift(warehouse_dsn, seconds).new
    except psycopg.Error as error:
        _log.error("drift_scan_failed", error=" ".join(str(error).split()))
        return 0


def _as_extraction_error(error: psycopg.Error | ExtractionError) -> ExtractionError:
    if isinstance(error, ExtractionError):
        return error
    code = "source_unavailable" if is_transient(error) else "load_failed"
    return ExtractionError(code, " ".join(str(error).split()) or type(error).__name__)


def _note_failure(connection: psycopg.Connection[Any], reason: str, failure: ExtractionError) -> None:
    """A failed run leaves a row as well, where the analytic database can still be written."""
    _log.error("extraction_failed", code=failure.code, error=failure.sentence)
    if connection.broken or connection.closed:
        return
    with connection.transaction():
        load_id = new_load(connection, state="failed", reason=reason)
        alarm = Alarm(failure.code, failure.sentence)
        finish_load(connection, load_id, error=str(failure), alarms=Jsonb([alarm.as_json()]))
