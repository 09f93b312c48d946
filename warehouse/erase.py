"""Erasure of one installation, everywhere: the collector, raw, and at the next publication every mart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from fuel_stat import log
from fuel_stat.identity import installation_key, node_id
from warehouse.errors import WarehouseError
from warehouse.partitions import connect

logger = log.get(__name__)
# Everything of a node at the collector, its ledger included: what it sends again after this counts as new.
_TABLES = (
    "landing",
    "contact",
    "ledger_bitmap",
    "ledger_version",
    "ledger_latest",
    "installation_decision",
    "quarantine",
)


class EraseError(WarehouseError):
    """An installation could not be erased."""


@dataclass(frozen=True)
class Erased:
    """How many rows went at the collector and records in raw. Neither uid nor pseudonym is kept."""

    collector_rows: int
    raw_records: int


def erase(admin_dsn: str, warehouse_dsn: str, pepper: bytes, uid: str) -> Erased:
    """Erase an installation by its uid. Run it again after a kill: it goes on where it stopped.

    The collector comes first, so that no extraction brings rows back. The marts lose it at the next publication;
    earlier publications, and so rollbacks, keep it until they are collected: :func:`forget_versions` does that at once.
    A block of the node goes too, since it names the uid: block it again afterwards if it must stay out.

    Raises:
        EraseError: ``unknown_installation`` when neither side knows the uid.
    """
    node, key = node_id(uid), installation_key(pepper, uid)
    with connect(admin_dsn) as connection, connection.transaction():
        rows = sum(_delete(connection, table, node) for table in (*_existing(connection), "node"))
        rows += _delete_codes(connection, uid)
    with psycopg.connect(warehouse_dsn, autocommit=True) as connection, connection.transaction():
        row = connection.execute("select ops.remove_installation(%s)", (key,)).fetchone()
        removed = int(row[0]) if row else 0
        connection.execute(
            "insert into ops.touched_installation (installation_key, reason) values (%s, 'erasure')"
            " on conflict (installation_key) do update set from_day = null, reason = excluded.reason",
            (key,),
        )
    if not rows and not removed:
        raise EraseError("unknown_installation", "Neither the collector nor the warehouse knows this uid.")
    # The log must not become the place where the uid survives.
    logger.info("installation_erased", collector_rows=rows, raw_records=removed)
    return Erased(rows, removed)


def _existing(connection: psycopg.Connection[Any]) -> list[str]:
    """Tables of the collector that hold something of a node: those we know, and any other with a column ``node``."""
    rows = connection.execute(
        "select c.relname from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid"
        " where c.relnamespace = 'collector'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
        " and a.attname = 'node' and a.atttypid = 'uuid'::regtype and c.relname <> 'node'"
    ).fetchall()
    found = [name for (name,) in rows]
    return [*(name for name in _TABLES if name in found), *sorted(set(found) - set(_TABLES))]


def _delete(connection: psycopg.Connection[Any], table: str, node: object) -> int:
    return connection.execute(
        sql.SQL("delete from collector.{} where node = %s").format(sql.Identifier(table)), (node,)
    ).rowcount


def _delete_codes(connection: psycopg.Connection[Any], uid: str) -> int:
    """Enrolment codes know a node by its uid alone: made for it, or used by it."""
    found = connection.execute("select to_regclass('collector.enrolment_code')").fetchone()
    if found is None or found[0] is None:
        return 0
    return connection.execute(
        "delete from collector.enrolment_code where uid = %(uid)s or used_by = %(uid)s", {"uid": uid}
    ).rowcount


def forget_versions(warehouse_dsn: str, pepper: bytes, uid: str) -> int:
    """Delete the installation's rows from every version in the store that has its pseudonym, for good.

    Readers see it gone at once, rollbacks included. Says how many row versions went.
    """
    key = installation_key(pepper, uid)
    with psycopg.connect(warehouse_dsn, autocommit=True) as connection, connection.transaction():
        rows = connection.execute(
            "select c.relname from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid"
            " where c.relnamespace = 'pub'::regnamespace and c.relkind = 'r' and a.attname = 'installation_key'"
            " and not a.attisdropped"
        ).fetchall()
        return sum(
            connection.execute(
                sql.SQL("delete from pub.{} where installation_key = %s").format(sql.Identifier(name)), (key,)
            ).rowcount
            for (name,) in rows
        )
