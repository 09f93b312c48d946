"""The tables this package keeps in the node's database (SQLite or Postgres).

All timestamps are naive UTC. Table names take the prefix of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

# SQLite numbers rows by itself only for a column spelled INTEGER.
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


@dataclass(frozen=True)
class Tables:
    """Our tables under one prefix.

    ``actions``    action_logs: one row a recorded request or task, the body's columns of the wire
                   contract plus what we need: ``record_uuid`` (unique: a write tried again does
                   not double), ``recorded_at``, the owner of an open task, and the sent mark.
    ``workloads``  one row a (cluster, type, day).
    ``sessions``   one row a recording process: what it accepted, wrote, dropped, lost.
    ``counters``   name -> total, for ever.
    ``facts``      name -> value: the actor key, the node's uid, small things that must last.
    ``consents``   one row a decision of the operator, for ever (the receipt).
    ``parcels``    one row a request to the collector: what, when, digest, answer.
    ``parked``     versions of records that the collector refused for good.
    ``schema``     one row: the version of all of the above.

    **Sent mark** (actions, workloads): ``is_sent`` false = to be sent; ``sent_at`` and
    ``sent_answer`` = when, and the collector's word on it. ``version`` grows by one with each
    change of a row, so a mark must name the version that was sent (``where id = ? and
    version = ?``): otherwise a change made while its older self was on the wire is never sent.
    An action is fit to be sent when ``end_timestamp`` is not null.
    """

    metadata: sa.MetaData
    schema: sa.Table
    actions: sa.Table
    workloads: sa.Table
    sessions: sa.Table
    counters: sa.Table
    facts: sa.Table
    consents: sa.Table
    parcels: sa.Table
    parked: sa.Table


@cache
def tables(prefix: str = "") -> Tables:
    """Return the tables under ``prefix``."""
    metadata = sa.MetaData()
    return Tables(
        metadata=metadata,
        schema=sa.Table(
            f"{prefix}fuel_stat_schema", metadata, sa.Column("version", sa.Integer, nullable=False)
        ),
        actions=_actions(metadata, prefix),
        workloads=_workloads(metadata, prefix),
        sessions=_sessions(metadata, prefix),
        counters=sa.Table(
            f"{prefix}fuel_stat_counters",
            metadata,
            sa.Column("name", sa.String(80), primary_key=True),
            sa.Column("value", _BIG, nullable=False),
            sa.Column("changed_at", sa.DateTime, nullable=False),
        ),
        facts=sa.Table(
            f"{prefix}fuel_stat_facts",
            metadata,
            sa.Column("name", sa.String(80), primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
        ),
        consents=_consents(metadata, prefix),
        parcels=_parcels(metadata, prefix),
        parked=sa.Table(
            f"{prefix}fuel_stat_parked",
            metadata,
            sa.Column("kind", sa.String(40), primary_key=True),
            sa.Column("row_id", _BIG, primary_key=True, autoincrement=False),
            sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("reason", sa.String(200), nullable=False),
            sa.Column("parked_at", sa.DateTime, nullable=False),
        ),
    )


def _consents(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}fuel_stat_consents",
        metadata,
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("levels", sa.JSON, nullable=False),
        sa.Column("text_version", sa.Integer, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("via", sa.String(40), nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=False),
        # records from then on may be sent; null: all
        sa.Column("since", sa.DateTime),
        sqlite_autoincrement=True,
    )


def _parcels(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}fuel_stat_parcels",
        metadata,
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body_bytes", _BIG, nullable=False),
        sa.Column("wire_bytes", _BIG, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False, server_default=sa.text("''")),
        sqlite_autoincrement=True,
    )


def _sent_mark() -> list[sa.Column[object]]:
    return [
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("is_sent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("sent_at", sa.DateTime),
        sa.Column("sent_answer", sa.String(40)),
    ]


def _actions(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}action_logs",
        metadata,
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("record_uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("actor_id", sa.String(64)),
        sa.Column("action_group", sa.String(64), nullable=False),
        sa.Column("action_name", sa.String(64), nullable=False),
        sa.Column("action_type", sa.String(20), nullable=False),
        sa.Column("start_timestamp", sa.DateTime, nullable=False),
        sa.Column("end_timestamp", sa.DateTime),
        sa.Column("duration_ms", sa.Float),
        sa.Column("additional_info", sa.JSON, nullable=False),
        sa.Column("cluster_id", _BIG),
        sa.Column("task_uuid", sa.String(36), index=True),
        sa.Column("parent_uuid", sa.String(36), index=True),
        sa.Column("owner_session", sa.String(36)),
        sa.Column("start_steady", sa.Float),
        sa.Column("start_boot", sa.String(36)),
        sa.Column("recorded_at", sa.DateTime, nullable=False),
        *_sent_mark(),
        sa.Index(f"ix_{prefix}action_logs_to_send", "is_sent", "id"),
        sa.Index(f"ix_{prefix}action_logs_open", "end_timestamp"),
        # ids are the collector's keys: one must never be given twice, even after rows expired
        sqlite_autoincrement=True,
    )


def _workloads(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}fuel_stat_workloads",
        metadata,
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("cluster_id", _BIG, nullable=False),
        sa.Column("resource_type", sa.String(20), nullable=False),
        sa.Column("created_date", sa.Date, nullable=False),
        sa.Column("updated_time", sa.Time, nullable=False),
        sa.Column("resource_data", sa.JSON, nullable=False),
        sa.Column("resource_checksum", sa.String(64), nullable=False),
        sa.Column("version_info", sa.JSON),
        *_sent_mark(),
        sa.UniqueConstraint("cluster_id", "resource_type", "created_date"),
        sa.Index(f"ix_{prefix}fuel_stat_workloads_to_send", "is_sent", "id"),
        sqlite_autoincrement=True,
    )


def _sessions(metadata: sa.MetaData, prefix: str) -> sa.Table:
    return sa.Table(
        f"{prefix}fuel_stat_sessions",
        metadata,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("boot", sa.String(36), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_start", sa.String(32), nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("tally_path", sa.String(255)),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("accepted", _BIG, nullable=False, server_default=sa.text("0")),
        sa.Column("written", _BIG, nullable=False, server_default=sa.text("0")),
        sa.Column("dropped", _BIG, nullable=False, server_default=sa.text("0")),
        sa.Column("last_batch", _BIG, nullable=False, server_default=sa.text("0")),
        # what its death took from the queue; exact, or "at most" when the tally is gone too
        sa.Column("lost", _BIG),
        sa.Column("lost_is_exact", sa.Boolean),
    )
