"""Alembic's environment: one transaction a migration, as the database's owner."""

from __future__ import annotations

import sqlalchemy
from alembic import context

url = context.config.attributes["url"]
owner = context.config.attributes["owner"]
engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)

with engine.connect() as connection:
    connection.exec_driver_sql(f"set role {owner}")
    connection.exec_driver_sql("set timezone to 'UTC'")
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
