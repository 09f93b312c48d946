"""Roles and databases of the clusters. Least privilege: who may do what is granted by the migrations."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

# Cluster-wide roles by what they are for; "replication" is the only attribute any of them has.
COLLECTOR_ROLES = ("fuel_admin", "fuel_ingest", "fuel_extract", "fuel_backup")
ANALYTIC_ROLES = ("fuel_warehouse", "fuel_analytics", "fuel_reports", "airflow")
_ATTRIBUTES = {"fuel_backup": "replication"}


def ensure_roles(superuser_dsn: str, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing and set every password; safe to run again."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        rows = connection.execute("select rolname from pg_roles").fetchall()
        existing = {row[0] for row in rows}
        for role, password in passwords.items():
            verb = sql.SQL("alter role" if role in existing else "create role")
            statement = sql.SQL("{} {} with login nosuperuser nocreatedb nocreaterole {} password {}")
            attributes = sql.SQL(_ATTRIBUTES.get(role, "noreplication"))
            # A verifier instead of the password: a failed statement is written to the server's log.
            verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            connection.execute(
                statement.format(verb, sql.Identifier(role), attributes, sql.Literal(verifier.decode()))
            )
        if "fuel_admin" in passwords:
            # The operator's role looks at every session, to say which one holds the extraction window.
            connection.execute("grant pg_monitor to fuel_admin")
            connection.execute("grant pg_monitor to fuel_extract")


def ensure_database(superuser_dsn: str, database: str, owner: str, template: str | None = None) -> bool:
    """Create a database unless it is there; says whether it was created. Only its owner's friends may connect."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone()
        if found:
            return False
        parts = [
            sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(owner))
        ]
        if template:
            parts.append(sql.SQL("template {}").format(sql.Identifier(template)))
        connection.execute(sql.SQL(" ").join(parts))
        return True
