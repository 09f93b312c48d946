"""A stand-in for the original collector's way, for comparison only.

Standard library JSON, pure-Python jsonschema over the whole request, select what exists, ORM insert, one commit.
Run under gunicorn: ``BENCH_DSN=… gunicorn bench.ingest.baseline:application``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import falcon
import jsonschema
from sqlalchemy import BigInteger, String, create_engine, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fuel_stat.postgres import sqlalchemy_url

SCHEMAS = Path(__file__).resolve().parents[2] / "ingest_api" / "schemas"


class Base(DeclarativeBase):
    """The tables of the stand-in."""


class ActionLog(Base):
    """One row a record, as in the original."""

    __tablename__ = "bench_action_logs"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    master_node_uid: Mapped[str] = mapped_column(String, index=True)
    external_id: Mapped[int] = mapped_column(BigInteger, index=True)
    body: Mapped[Any] = mapped_column(JSONB)


class Workload(Base):
    """One row a record, updated in place."""

    __tablename__ = "bench_oswl_stats"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    master_node_uid: Mapped[str] = mapped_column(String, index=True)
    external_id: Mapped[int] = mapped_column(BigInteger, index=True)
    resource_type: Mapped[str] = mapped_column(String)
    record: Mapped[Any] = mapped_column(JSONB)


class Structure(Base):
    """One row a node, overwritten in place."""

    __tablename__ = "bench_structures"
    master_node_uid: Mapped[str] = mapped_column(String, primary_key=True)
    structure: Mapped[Any] = mapped_column(JSONB)


engine = create_engine(sqlalchemy_url(os.environ["BENCH_DSN"], driver="psycopg2"), pool_size=4)


def _validator(kind: str, many: bool) -> Any:
    record = json.loads((SCHEMAS / kind / f"{kind}.1.schema.json").read_text())
    content = {"type": "array", "items": record} if many else record
    return jsonschema.Draft4Validator({"type": "object", "properties": {kind: content}, "required": [kind]})


class _Resource:
    kind = ""
    many = True

    def __init__(self) -> None:
        self.validator = _validator(self.kind, self.many)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Parse, validate, store, answer."""
        body = json.loads(req.bounded_stream.read())
        self.validator.validate(body)
        with Session(engine) as session:
            statuses = self.store(session, body[self.kind])
            session.commit()
        resp.text = json.dumps({"status": "ok", self.kind: statuses})

    def store(self, session: Session, content: Any) -> list[dict[str, Any]]:
        """The per-record answers."""
        raise NotImplementedError


class ActionLogs(_Resource):
    """New ones are inserted."""

    kind = "action_logs"

    def store(self, session: Session, content: Any) -> list[dict[str, Any]]:
        """See the base."""
        keys = [(record["master_node_uid"], record["external_id"]) for record in content]
        columns = tuple_(ActionLog.master_node_uid, ActionLog.external_id)
        known = set(
            session.execute(select(ActionLog.master_node_uid, ActionLog.external_id).where(columns.in_(keys)))
        )
        fresh = [record for record, key in zip(content, keys, strict=True) if key not in known]
        session.add_all(ActionLog(**record) for record in fresh)
        return [{"external_id": key[1], "status": "existed" if key in known else "added"} for key in keys]


class Workloads(_Resource):
    """New ones are inserted, known ones overwritten."""

    kind = "oswl_stats"

    def store(self, session: Session, content: Any) -> list[dict[str, Any]]:
        """See the base."""
        keys = [(r["master_node_uid"], r["id"], r["resource_type"]) for r in content]
        columns = tuple_(Workload.master_node_uid, Workload.external_id, Workload.resource_type)
        rows = session.scalars(select(Workload).where(columns.in_(keys)))
        known = {(row.master_node_uid, row.external_id, row.resource_type): row for row in rows}
        statuses = []
        for key, record in zip(keys, content, strict=True):
            if key in known:
                known[key].record = record
            else:
                session.add(
                    Workload(master_node_uid=key[0], external_id=key[1], resource_type=key[2], record=record)
                )
            statuses.append({"id": key[1], "status": "updated" if key in known else "added"})
        return statuses


class Structures(_Resource):
    """The last one stays."""

    kind = "installation_structure"
    many = False

    def store(self, session: Session, content: Any) -> list[dict[str, Any]]:
        """See the base."""
        session.merge(Structure(master_node_uid=content["master_node_uid"], structure=content))
        return []


application = falcon.App()
for resource in (ActionLogs(), Workloads(), Structures()):
    application.add_route(f"/api/v1/{resource.kind}/", resource)


def create_tables() -> None:
    """Make the stand-in's tables."""
    Base.metadata.create_all(engine)
