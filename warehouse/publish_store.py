"""The versioned store ``pub.<table>``: staging the differences of a build, still invisible to every reader.

A row of the store is valid for the publications in ``[pub_from, pub_to)``; ``pub_to`` is :data:`OPEN` while no later
build lacks it. The store follows the builds in one line: staging compares with the newest state, whatever readers see.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from warehouse.publish import Connection, PublicationError, with_lock_timeout

OPEN = 9223372036854775807
OWN_COLUMNS = ("pub_hash", "pub_from", "pub_to")
_ANALYZE_SHARE = 0.1

# Rows are told apart by a hash of all their columns, kept in the store. Only rows that changed can be mistaken for one
# another: for a million changed rows the chance is below 1e-7. Equal rows are numbered, so a table is a multiset.
_BUILT: LiteralString = """
    create temporary table stage_built on commit drop as
    select b.ctid as place, h.hash, row_number() over (partition by h.hash) as nth
    from build.{table} as b, lateral (select hash_record_extended(row({built}), 0) as hash) as h
"""
_KEPT: LiteralString = """
    create temporary table stage_kept on commit drop as
    select p.ctid as place, p.pub_hash as hash, row_number() over (partition by p.pub_hash) as nth
    from pub.{table} as p where p.pub_to = {open}
"""
_CLOSE: LiteralString = """
    update pub.{table} as p set pub_to = {id}
    from stage_kept as k left join stage_built as b on k.hash = b.hash and k.nth = b.nth
    where p.ctid = k.place and b.place is null
"""
_ADD: LiteralString = """
    insert into pub.{table} ({names}, pub_hash, pub_from)
    select {built}, s.hash, {id}
    from build.{table} as b inner join stage_built as s on b.ctid = s.place
    left join stage_kept as k on s.hash = k.hash and s.nth = k.nth
    where k.place is null
"""


@dataclass(frozen=True)
class Column:
    """A column as Postgres spells it: name and full type."""

    name: str
    type: str


@dataclass(frozen=True)
class Staged:
    """What staging changed in one table: rows of the build, rows added to and closed in the store, seconds."""

    table: str
    rows_total: int
    rows_added: int
    rows_closed: int
    seconds: float


def columns(connection: Connection, schema: str, table: str) -> list[Column]:
    """The columns of a relation in their order; empty when it does not exist."""
    rows = connection.execute(
        "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a"
        " where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum",
        (f'"{schema}"."{table}"',),
    ).fetchall()
    return [Column(name, kind) for name, kind in rows]


def prepare(connection: Connection, table: str) -> None:
    """Give ``pub.<table>`` every column and index that ``build.<table>`` has. No statement runs where nothing changed.

    A column that is new is added, one that the build no longer has stays (earlier publications have values in it), a
    changed type is converted in place.

    Raises:
        PublicationError: ``not_built``, ``reserved_column``, ``incompatible_type``, ``lock_timeout``.
    """
    wanted = columns(connection, "build", table)
    if not wanted:
        raise PublicationError("not_built", f"build.{table} does not exist: dbt has not built it.")
    if {column.name for column in wanted} & set(OWN_COLUMNS):
        raise PublicationError("reserved_column", f"build.{table} has a column named like the store's own.")
    present = {column.name: column for column in columns(connection, "pub", table)}
    if not present:
        _create(connection, table)
        present = {column.name: column for column in wanted}
    for column in wanted:
        held = present.get(column.name)
        if held is None:
            _alter(connection, table, column, "add column {name} {type}")
        elif held.type != column.type:
            _retype(connection, table, column)
    _copy_indexes(connection, table)


def _create(connection: Connection, table: str) -> None:
    name = sql.Identifier(table)
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "create table pub.{table} (like build.{table}, pub_hash bigint not null,"
                " pub_from bigint not null, pub_to bigint not null default {open})"
            ).format(table=name, open=sql.Literal(OPEN))
        )
        for column in columns(connection, "build", table):
            connection.execute(
                sql.SQL("alter table pub.{} alter column {} drop not null").format(
                    name, sql.Identifier(column.name)
                )
            )
        # Many rows change at each build in the small tables: let vacuum come early, leave room for updates in place.
        connection.execute(
            sql.SQL("alter table pub.{} set (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05)").format(
                name
            )
        )
        connection.execute(
            sql.SQL("create index on pub.{} (pub_hash) where pub_to = {}").format(name, sql.Literal(OPEN))
        )
        connection.execute(
            sql.SQL("create index on pub.{} (pub_to) where pub_to <> {}").format(name, sql.Literal(OPEN))
        )


def _alter(connection: Connection, table: str, column: Column, change: str) -> None:
    statement = sql.SQL("alter table pub.{} ").format(sql.Identifier(table)) + sql.SQL(change).format(
        name=sql.Identifier(column.name), type=sql.SQL(column.type)
    )
    with_lock_timeout(connection, lambda: connection.execute(statement))


def _retype(connection: Connection, table: str, column: Column) -> None:
    """Convert a column of the store; its view goes for the length of this transaction and comes back with it."""

    def convert() -> None:
        view = connection.execute(
            "select pg_get_viewdef(to_regclass(%s)), to_regclass(%s) is not null",
            (f'marts."{table}"', f'marts."{table}"'),
        ).fetchone()
        assert view is not None  # noqa: S101 - a query without from gives one row
        name = sql.Identifier(table)
        if view[1]:
            connection.execute(sql.SQL("drop view marts.{}").format(name))
        connection.execute(
            sql.SQL("alter table pub.{} alter column {} type {} using {}::{}").format(
                name,
                sql.Identifier(column.name),
                sql.SQL(column.type),
                sql.Identifier(column.name),
                sql.SQL(column.type),
            )
        )
        if view[1]:
            connection.execute(sql.SQL("create view marts.{} as {}").format(name, sql.SQL(view[0])))
            connection.execute(sql.SQL("grant select on marts.{} to fuel_analytics").format(name))

    try:
        with_lock_timeout(connection, convert)
    except psycopg.DataError as error:
        raise PublicationError(
            "incompatible_type",
            f"pub.{table}.{column.name} cannot become {column.type}: earlier publications hold other values.",
        ) from error


def _copy_indexes(connection: Connection, table: str) -> None:
    """Indexes as the model declares them, without their uniqueness: the store holds a key once a version."""
    wanted = _index_shapes(connection, "build", table)
    present = _index_shapes(connection, "pub", table)
    for method, keys, predicate in wanted - present:
        connection.execute(
            sql.SQL("create index on pub.{} using {} ({}){}").format(
                sql.Identifier(table),
                sql.Identifier(method),
                sql.SQL(keys),
                sql.SQL(f" where {predicate}" if predicate else ""),
            )
        )


def _index_shapes(connection: Connection, schema: str, table: str) -> set[tuple[str, str, str | None]]:
    rows = connection.execute(
        """
        select m.amname, (
            select string_agg(pg_get_indexdef(i.indexrelid, k, true), ', ' order by k)
            from generate_series(1, i.indnkeyatts) as k
        ), pg_get_expr(i.indpred, i.indrelid)
        from pg_index as i
        inner join pg_class as c on i.indexrelid = c.oid
        inner join pg_am as m on c.relam = m.oid
        where i.indrelid = to_regclass(%s) and i.indisvalid
        """,
        (f'"{schema}"."{table}"',),
    ).fetchall()
    return {(method, keys, predicate) for method, keys, predicate in rows}


def stage(connection: Connection, publication_id: int, tables: list[str]) -> list[Staged]:
    """Write the differences between schema build and the store under this publication's number.

    All tables in one transaction: a kill leaves nothing of it. Readers see none of it, since no pointer names it.

    Raises:
        PublicationError: as :func:`prepare`; ``wrong_state`` unless the publication is audited.
    """
    for table in tables:
        prepare(connection, table)
    with connection.transaction():
        found = connection.execute(
            "select state from ops.publication where publication_id = %s for update", (publication_id,)
        ).fetchone()
        if found is None or found[0] != "audited":
            raise PublicationError(
                "wrong_state",
                f"Publication {publication_id} is {found and found[0]}, not audited: not staged.",
            )
        connection.execute("select set_config('work_mem', '128MB', true)")
        retired = [_close_all(connection, publication_id, table) for table in _no_longer(connection, tables)]
        staged = [_stage_table(connection, publication_id, table) for table in tables] + retired
        connection.execute(
            "update ops.publication set staged_at = clock_timestamp(), rows_added = %s, rows_closed = %s"
            " where publication_id = %s",
            (sum(one.rows_added for one in staged), sum(one.rows_closed for one in staged), publication_id),
        )
    for one in staged:
        if one.rows_added + one.rows_closed > _ANALYZE_SHARE * max(one.rows_total, 1000):
            connection.execute(sql.SQL("analyze pub.{}").format(sql.Identifier(one.table)))
    return staged


def _stage_table(connection: Connection, publication_id: int, table: str) -> Staged:
    started = time.monotonic()
    names = [column.name for column in columns(connection, "build", table)]
    parts = {
        "table": sql.Identifier(table),
        "names": sql.SQL(", ").join(map(sql.Identifier, names)),
        "built": sql.SQL(", ").join(sql.SQL("b.{}").format(sql.Identifier(name)) for name in names),
        "open": sql.Literal(OPEN),
        "id": sql.Literal(publication_id),
    }
    for statement in (_BUILT, _KEPT):
        connection.execute(sql.SQL(statement).format(**parts))
    connection.execute("analyze stage_built")
    connection.execute("analyze stage_kept")
    closed = connection.execute(sql.SQL(_CLOSE).format(**parts)).rowcount
    added = connection.execute(sql.SQL(_ADD).format(**parts)).rowcount
    total = connection.execute("select count(*) from stage_built").fetchone()
    connection.execute("drop table stage_built, stage_kept")
    staged = Staged(table, total[0] if total else 0, added, closed, time.monotonic() - started)
    _record(connection, publication_id, staged)
    return staged


def _no_longer(connection: Connection, tables: list[str]) -> list[str]:
    """Tables of the store that the project no longer publishes: their rows end with this publication."""
    rows = connection.execute(
        "select c.relname from pg_class as c where c.relnamespace = 'pub'::regnamespace and c.relkind = 'r'"
    ).fetchall()
    return sorted(name for (name,) in rows if name not in tables)


def _close_all(connection: Connection, publication_id: int, table: str) -> Staged:
    closed = connection.execute(
        sql.SQL("update pub.{} set pub_to = {} where pub_to = {}").format(
            sql.Identifier(table), sql.Literal(publication_id), sql.Literal(OPEN)
        )
    ).rowcount
    staged = Staged(table, 0, 0, closed, 0.0)
    _record(connection, publication_id, staged)
    return staged


def _record(connection: Connection, publication_id: int, staged: Staged) -> None:
    values: tuple[Any, ...] = (
        publication_id,
        staged.table,
        staged.rows_total,
        staged.rows_added,
        staged.rows_closed,
        staged.seconds,
    )
    connection.execute(
        "insert into ops.publication_table (publication_id, table_name, rows_total, rows_added, rows_closed, seconds)"
        " values (%s, %s, %s, %s, %s, %s)",
        values,
    )
