"""Taking over the database of an original collector: structures with their dates and decisions, action logs, workloads.

Everything goes into the same landing tables and ledgers as what nodes send, so extraction and marts need to know
nothing about it. Each batch and the position reached are one transaction: a killed import is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Any

import orjson
import psycopg
from psycopg import sql

from fuel_stat.postgres import Dsn
from warehouse.errors import LegacyImportError
from warehouse.legacy_land import Lander, LegacyRecord, LegacyStructure, Redact, plausible

BATCH_ROWS = 1_000
Progress = Callable[[str, int, int], None]

COLUMNS: dict[str, tuple[str, ...]] = {
    "installation_structures": (
        "id", "master_node_uid", "structure", "creation_date", "modification_date", "is_filtered",
    ),
    "action_logs": ("id", "master_node_uid", "external_id", "body"),
    "oswl_stats": (
        "id", "master_node_uid", "external_id", "cluster_id", "created_date", "updated_time", "resource_type",
        "resource_data", "resource_checksum", "version_info",
    ),
}  # fmt: skip
_AS_TEXT = {"structure", "body", "resource_data", "version_info", "created_date", "updated_time"}
Row = dict[str, Any]


@dataclass(frozen=True)
class LegacyReport:
    """Rows read and records landed by table; what was landed before is read and not landed again."""

    read: dict[str, int]
    landed: dict[str, int]


def run_legacy_import(
    source_dsn: str,
    admin_dsn: str,
    *,
    redact: Redact | None = None,
    progress: Progress = lambda table, done, total: None,
) -> LegacyReport:
    """Import all three tables, from where an earlier run stopped.

    Args:
        source_dsn: the original collector's database; it is only read.
        admin_dsn: the collector's primary, as fuel_admin.
        redact: removes what must not be stored from JSON text; by default the collector's own rules.
        progress: is told (table, rows done, rows in all) after each batch.

    Raises:
        LegacyImportError: ``not_an_original`` (tables or columns are missing), ``source_unreachable``,
            ``no_redaction``.
    """
    redact = redact or collector_redaction()
    name = _source_name(source_dsn)
    try:
        source = psycopg.connect(source_dsn, application_name="fuel-stat import-legacy")
    except psycopg.OperationalError as error:
        raise LegacyImportError("source_unreachable", " ".join(str(error).split())) from error
    with source, psycopg.connect(admin_dsn, autocommit=True) as target:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        target.execute("set timezone to 'UTC'")
        run = _Import(source, target, Lander(target, redact), name, progress)
        run.check()
        for table in COLUMNS:
            run.table(table)
        return run.report()


def collector_redaction() -> Redact:
    """The collector's redaction, which it offers as an entry point (services do not import each other).

    Raises:
        LegacyImportError: ``no_redaction``.
    """
    for point in entry_points(group="fuel_stat.redaction"):
        redact: Redact = point.load()
        return redact
    raise LegacyImportError(
        "no_redaction",
        "The collector's redaction is not installed: run `make up` or install the project again.",
    )


class _Import:
    """One run of the import."""

    def __init__(
        self,
        source: psycopg.Connection[Any],
        target: psycopg.Connection[Any],
        lander: Lander,
        name: str,
        progress: Progress,
    ) -> None:
        self._source, self._target, self._lander = source, target, lander
        self._name, self._progress = name, progress
        self._started = datetime.now(UTC)
        self._created: dict[str, datetime] = {}

    def check(self) -> None:
        """Refuse a database that is not an original collector's."""
        rows = self._source.execute(
            "select table_name, column_name from information_schema.columns where table_name = any(%s)",
            (list(COLUMNS),),
        )
        found = {(table, column) for table, column in rows}
        missing = [
            f"{table}.{column}"
            for table, columns in COLUMNS.items()
            for column in columns
            if (table, column) not in found
        ]
        if missing:
            raise LegacyImportError(
                "not_an_original",
                f"This is not an original collector's database: no {', '.join(missing[:4])}.",
            )

    def table(self, table: str) -> None:
        """Land one table from the remembered position on."""
        uid, number, done = self._position(table)
        total = self._count(table)
        if table == "installation_structures":
            self._created = dict(self._creations())
        for batch in self._rows(table, uid, number):
            with self._target.transaction():
                landed = self._land(table, batch)
                self._remember(table, batch[-1], len(batch), landed)
            done += len(batch)
            self._progress(table, done, total)
        self._target.execute(
            "update collector.legacy_import set finished_at = clock_timestamp()"
            " where source = %s and table_name = %s and finished_at is null",
            (self._name, table),
        )

    def report(self) -> LegacyReport:
        """What all runs from this source have done."""
        rows = self._target.execute(
            "select table_name, rows_read, records_landed from collector.legacy_import where source = %s",
            (self._name,),
        ).fetchall()
        return LegacyReport(
            {name: read for name, read, _ in rows}, {name: landed for name, _, landed in rows}
        )

    def _land(self, table: str, rows: list[Row]) -> int:
        if table == "installation_structures":
            return sum(self._lander.structure(self._structure(row)) for row in rows)
        if table == "action_logs":
            return self._lander.first_wins("action_logs", [self._action(row) for row in rows])
        return self._lander.versions("oswl_stats", [self._workload(row) for row in rows])

    def _structure(self, row: Row) -> LegacyStructure:
        created = plausible(row["creation_date"], self._started)
        modified = row["modification_date"]
        return LegacyStructure(
            row["master_node_uid"],
            # In its envelope: a deformed structure alone could look like one.
            b'{"installation_structure": %s}' % row["structure"].encode(),
            created,
            None if modified is None else plausible(modified, created),
            row["is_filtered"],
        )

    def _action(self, row: Row) -> LegacyRecord:
        """The original kept no date of arrival: an action log had arrived when its action had ended."""
        uid = row["master_node_uid"]
        body = row["body"].encode()
        members = orjson.loads(body)
        ended = members.get("end_timestamp") or members.get("start_timestamp")
        text = b'{"master_node_uid": %s, "external_id": %d, "body": %s}' % (
            orjson.dumps(uid), row["external_id"], body,
        )  # fmt: skip
        return LegacyRecord(uid, row["external_id"], "", text, plausible(_moment(ended), self._fallback(uid)))

    def _workload(self, row: Row) -> LegacyRecord:
        uid = row["master_node_uid"]
        plain = {
            "master_node_uid": uid,
            "id": row["external_id"],
            "cluster_id": row["cluster_id"],
            "created_date": row["created_date"],
            "updated_time": row["updated_time"],
            "resource_type": row["resource_type"],
            "resource_checksum": row["resource_checksum"],
            "resource_data": orjson.Fragment(row["resource_data"]),
        }
        if row["version_info"] is not None:
            plain["version_info"] = orjson.Fragment(row["version_info"])
        moment = _moment(f"{row['created_date']}T{row['updated_time']}")
        received_at = plausible(moment, self._fallback(uid))
        return LegacyRecord(uid, row["external_id"], row["resource_type"], orjson.dumps(plain), received_at)

    def _fallback(self, uid: str) -> datetime:
        return self._created.get(uid, self._started)

    def _creations(self) -> Iterator[tuple[str, datetime]]:
        rows = self._source.execute("select master_node_uid, creation_date from installation_structures")
        for uid, created in rows:
            yield uid, plausible(created, self._started)

    def _rows(self, table: str, uid: str, number: int) -> Iterator[list[Row]]:
        columns = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) if name in _AS_TEXT else sql.Identifier(name)
            for name in COLUMNS[table]
        )
        query = sql.SQL(
            'select {} from {} where (master_node_uid collate "C", id) > (%s, %s)'
            ' order by master_node_uid collate "C", id'
        ).format(columns, sql.Identifier(table))
        with self._source.cursor("legacy") as cursor:
            cursor.execute(query, (uid, number))
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield [dict(zip(COLUMNS[table], row, strict=True)) for row in rows]

    def _count(self, table: str) -> int:
        row = self._source.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier(table))
        ).fetchone()
        return int(row[0]) if row else 0

    def _position(self, table: str) -> tuple[str, int, int]:
        self._target.execute(
            "insert into collector.legacy_import (source, table_name) values (%s, %s) on conflict do nothing",
            (self._name, table),
        )
        row = self._target.execute(
            "select last_uid, last_id, rows_read from collector.legacy_import"
            " where source = %s and table_name = %s",
            (self._name, table),
        ).fetchone()
        return row if row else ("", 0, 0)

    def _remember(self, table: str, last: Row, rows: int, landed: int) -> None:
        self._target.execute(
            "update collector.legacy_import set last_uid = %s, last_id = %s, rows_read = rows_read + %s,"
            " records_landed = records_landed + %s where source = %s and table_name = %s",
            (last["master_node_uid"], last["id"], rows, landed, self._name, table),
        )


def _source_name(dsn: str) -> str:
    try:
        parsed = Dsn.parse(dsn)
    except ValueError as error:
        raise LegacyImportError("source_unreachable", f"The address is not usable: {error}.") from error
    return f"{parsed.host}:{parsed.port}/{parsed.database}"


def _moment(text: Any) -> datetime | None:
    """A node's timestamp; None when it is none."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
