"""The steps of a publication as the DAG and the command line call them: each one is a process that may be killed.

begin → (audit raw ∥ build the layers) → audit the marts → publish. A step names the publication it belongs to and finds
everything else in the database.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from fuel_stat import log, state
from warehouse import audit, dbt_runner, pipeline_docs, publish, publish_collect, publish_store, publish_views
from warehouse.errors import IntegrityError
from warehouse.integrity import check_integrity
from warehouse.integrity_published import note_published

logger = log.get(__name__)
LAST_LAYER = tuple(dbt_runner.LAYERS)[-1]


@dataclass(frozen=True)
class Places:
    """Where the pipeline reads and writes: libpq URLs, the pepper, and the state folder (dbt's targets, Data Docs)."""

    warehouse_dsn: str
    standby_dsn: str = ""
    pepper: bytes = b""
    home: Path | None = None

    @property
    def folder(self) -> Path:
        return self.home or state.home()

    @property
    def docs(self) -> Path:
        return self.folder / "data_docs"

    def project(self) -> dbt_runner.Project:
        """The dbt project, its artefacts in the state folder."""
        return dbt_runner.Project(self.warehouse_dsn, self.folder / "dbt")


@contextmanager
def connect(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the analytic database for one step."""
    with psycopg.connect(dsn, autocommit=True, application_name="fuel-stat publish") as connection:
        connection.execute("set timezone to 'UTC'")
        yield connection


def begin(
    places: Places, *, reason: str = "scheduled", run_id: str | None = None, force: bool = False
) -> int | None:
    """Open a publication over all that is loaded; None when nothing is new (unless forced) or was ever loaded."""
    with connect(places.warehouse_dsn) as connection:
        if not publish.has_loads(connection) or not (force or publish.has_new(connection)):
            logger.info("nothing_new")
            return None
        return publish.begin(connection, reason=reason, run_id=run_id).publication_id


def audit_raw(places: Places, publication_id: int) -> list[audit.Result]:
    """The checkpoint at the way in, over the loads that are new in this publication.

    Raises:
        AuditError: ``audit_failed``.
    """
    with (
        connect(places.warehouse_dsn) as connection,
        publish.step(connection, publication_id, "audit_raw"),
    ):
        return audit.audit(connection, places.warehouse_dsn, publication_id, "raw", docs=places.docs)


def build(
    places: Places,
    publication_id: int,
    layer: str,
    *,
    full_refresh: bool = False,
    tell: Callable[[str], None] | None = None,
) -> list[dbt_runner.NodeResult]:
    """Build and test one layer with dbt; the last layer completes the build.

    Raises:
        DbtError: ``dbt_failed``, ``dbt_timeout``, ``unknown_layer``.
        PublicationError: ``wrong_state`` when a newer run took over.
    """
    with connect(places.warehouse_dsn) as connection, publish.step(connection, publication_id, layer):
        publish.require(connection, publication_id, "building")
        project = places.project()
        share_parsing(project.targets, layer)
        try:
            results = dbt_runner.build_layer(project, layer, full_refresh=full_refresh, tell=tell)
        except dbt_runner.DbtError as error:
            _keep_results(connection, publication_id, layer, list(error.results))
            raise
        _keep_results(connection, publication_id, layer, results)
        if layer == LAST_LAYER:
            publish.mark_built(connection, publication_id)
        return results


def share_parsing(targets: Path, layer: str) -> None:
    """Give a layer that has never run the parsed project of one that has: parsing takes longer than building."""
    own = targets / layer / "partial_parse.msgpack"
    if own.exists():
        return
    for other in dbt_runner.LAYERS:
        parsed = targets / other / "partial_parse.msgpack"
        if parsed.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parsed, own)
            return


def _keep_results(
    connection: publish.Connection, publication_id: int, layer: str, results: list[dbt_runner.NodeResult]
) -> None:
    connection.cursor().executemany(
        "insert into ops.dbt_result (publication_id, layer, unique_id, resource_type, status, seconds, rows_affected,"
        " failures, message) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (publication_id, layer, unique_id) do update set status = excluded.status,"
        " seconds = excluded.seconds, rows_affected = excluded.rows_affected, failures = excluded.failures,"
        " message = excluded.message, finished_at = clock_timestamp()",
        [
            (
                publication_id,
                layer,
                one.unique_id,
                one.resource_type,
                one.status,
                one.seconds,
                one.rows_affected,
                one.failures,
                one.message,
            )
            for one in results
        ],
    )


def audit_marts(places: Places, publication_id: int) -> list[audit.Result]:
    """The checkpoint at the way out, the integrity report included, on what was built.

    Raises:
        AuditError: ``audit_failed``.
    """
    with connect(places.warehouse_dsn) as connection:
        publish.require(connection, publication_id, "building")
        with publish.step(connection, publication_id, "integrity"):
            extra = [_integrity(places)] if places.standby_dsn else []
        with publish.step(connection, publication_id, "audit_marts"):
            return audit.audit(
                connection, places.warehouse_dsn, publication_id, "marts", docs=places.docs, extra=extra
            )


def _integrity(places: Places) -> audit.Result:
    report = check_integrity(places.standby_dsn, places.warehouse_dsn, places.pepper)
    mismatches = len(report.mismatches)
    return audit.Result(
        expectation="integrity_equation",
        table_name="ops.integrity",
        severity="block",
        succeeded=report.agrees,
        observed=float(mismatches),
        unexpected=mismatches,
        detail=None if report.agrees else "; ".join(report.mismatches[:5]),
    )


def publish_build(places: Places, publication_id: int, *, tell: Callable[[str], None] | None = None) -> None:
    """Accept the audits, stage the differences, let readers see them, collect old versions.

    Repeatable: after a kill it goes on from where the publication stands.

    Raises:
        PublicationError: see :mod:`warehouse.publish` and :mod:`warehouse.publish_store`.
        IntegrityError: ``published_differs``: readers do not see what was audited.
    """
    say = tell or (lambda line: logger.info("publish", line=line))
    tables = published_models(places.folder / "dbt" / LAST_LAYER / "manifest.json")
    with connect(places.warehouse_dsn) as connection:
        if publish.find(connection, publication_id).state == "building":
            publish.mark_audited(connection, publication_id)
        if publish.find(connection, publication_id).state in publish.SHOWN:
            say(f"publication {publication_id} was published already")
            _require_published(connection, publication_id)
            return
        if publish.find(connection, publication_id).staged_at is None:
            with publish.step(connection, publication_id, "stage"):
                for staged in publish_store.stage(connection, publication_id, tables):
                    say(
                        f"{staged.table}: {staged.rows_total} rows, {staged.rows_added} added,"
                        f" {staged.rows_closed} closed ({staged.seconds:.2f} s)"
                    )
        with publish.step(connection, publication_id, "switch"):
            publish.switch(
                connection, publication_id, before=lambda: publish_views.bring_in_line(connection, tables)
            )
        publish_views.copy_comments(connection, tables)
        removed = publish_collect.collect(connection)
        say(f"publication {publication_id} is published; {removed} old row versions collected")
        _require_published(connection, publication_id)
    project = places.project()
    share_parsing(project.targets, "docs")
    if pipeline_docs.refresh(project, places.folder / "dbt_docs"):
        say("dbt's documentation of the project was written anew")


def _require_published(connection: psycopg.Connection[Any], publication_id: int) -> None:
    """What readers see is what was audited.

    Raises:
        IntegrityError: ``published_differs``: the numbers are up and wrong; rolling back is the way out.
    """
    with publish.step(connection, publication_id, "integrity_published"):
        mismatches = note_published(connection, publication_id)
    if mismatches:
        raise IntegrityError("published_differs", "; ".join(mismatches[:3]), tuple(mismatches))


def published_models(manifest: Path) -> list[str]:
    """The models tagged ``published``, from dbt's manifest.

    Raises:
        PublicationError: ``no_manifest``.
    """
    try:
        nodes = json.loads(manifest.read_text())["nodes"].values()
    except (OSError, ValueError, KeyError) as error:
        raise publish.PublicationError("no_manifest", f"{manifest} cannot be read: has dbt run?") from error
    return sorted(
        str(node["alias"])
        for node in nodes
        if node["resource_type"] == "model" and "published" in node["config"]["tags"]
    )


def give_up(warehouse_dsn: str, run_id: str, code: str, sentence: str) -> None:
    """A run failed for good: its open publication, if it has one, is failed and says why."""
    with connect(warehouse_dsn) as connection:
        row = connection.execute(
            "select publication_id from ops.publication where run_id = %s and state in ('building', 'audited')",
            (run_id,),
        ).fetchone()
        if row:
            publish.fail(connection, row[0], code, sentence)


def run_all(
    places: Places,
    *,
    reason: str = "manual",
    force: bool = True,
    full_refresh: bool = False,
    tell: Callable[[str], None] | None = None,
) -> int | None:
    """All steps in this process, without Airflow; the publication's number, or None when nothing was new.

    Raises:
        WarehouseError: what stopped it; the publication has failed then and says so.
    """
    publication_id = begin(places, reason=reason, force=force)
    if publication_id is None:
        return None
    try:
        audit_raw(places, publication_id)
        for layer in dbt_runner.LAYERS:
            build(places, publication_id, layer, full_refresh=full_refresh, tell=tell)
        audit_marts(places, publication_id)
        publish_build(places, publication_id, tell=tell)
    except Exception as error:
        with connect(places.warehouse_dsn) as connection:
            publish.fail(connection, publication_id, getattr(error, "code", "failed"), str(error))
        raise
    return publication_id
