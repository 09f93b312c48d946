"""The views in schema ``marts``: what readers see of the versioned store. No DDL runs while columns are unchanged."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from warehouse.publish import Connection
from warehouse.publish_store import Column, columns

READER = "fuel_analytics"


def bring_in_line(connection: Connection, tables: list[str]) -> list[str]:
    """Bring ``marts`` in line with these published tables; says which views were made, replaced or dropped.

    Each view selects the rows of the store that are valid for ``ops.visible_publication()``, evaluated once a
    statement. To be called inside the transaction that moves the pointer, which has a lock timeout.
    """
    changed = []
    for table in tables:
        wanted = columns(connection, "build", table)
        if columns(connection, "marts", table) != wanted:
            _replace(connection, table, wanted)
            changed.append(table)
    for table in _views(connection):
        if table not in tables:
            connection.execute(sql.SQL("drop view marts.{}").format(sql.Identifier(table)))
            changed.append(table)
    return changed


def copy_comments(connection: Connection, tables: list[str]) -> None:
    """Descriptions that dbt wrote on the built tables (persist_docs) belong to the views as well."""
    for table in tables:
        _copy_comments(connection, table)


def _replace(connection: Connection, table: str, wanted: list[Column]) -> None:
    name = sql.Identifier(table)
    connection.execute(sql.SQL("drop view if exists marts.{}").format(name))
    connection.execute(
        sql.SQL(
            "create view marts.{name} as select {columns} from pub.{name} as p"
            " where p.pub_from <= (select ops.visible_publication() as visible)"
            " and p.pub_to > (select ops.visible_publication() as visible)"
        ).format(name=name, columns=_names(wanted))
    )
    connection.execute(sql.SQL("grant select on marts.{} to {}").format(name, sql.Identifier(READER)))


def _names(wanted: Iterable[Column]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("p.{}").format(sql.Identifier(column.name)) for column in wanted)


def _copy_comments(connection: Connection, table: str) -> None:
    rows = connection.execute(
        """
        select a.attname, d.description from pg_description as d
        left join pg_attribute as a on a.attrelid = d.objoid and a.attnum = d.objsubid
        where d.objoid = to_regclass(%(build)s) and d.classoid = 'pg_class'::regclass and d.objsubid >= 0
        and (d.objsubid = 0 or exists (
            select from pg_attribute as v where v.attrelid = to_regclass(%(view)s) and v.attname = a.attname
        ))
        except
        select a.attname, d.description from pg_description as d
        left join pg_attribute as a on a.attrelid = d.objoid and a.attnum = d.objsubid
        where d.objoid = to_regclass(%(view)s) and d.classoid = 'pg_class'::regclass and d.objsubid >= 0
        """,
        {"build": f'build."{table}"', "view": f'marts."{table}"'},
    ).fetchall()
    view = sql.SQL("marts.{}").format(sql.Identifier(table))
    for column, text in rows:
        target = (
            sql.SQL("view {}").format(view)
            if column is None
            else sql.SQL("column {}.{}").format(view, sql.Identifier(column))
        )
        connection.execute(sql.SQL("comment on {} is {}").format(target, sql.Literal(text)))


def _views(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select viewname from pg_views where schemaname = 'marts' order by viewname"
    ).fetchall()
    return [name for (name,) in rows]
