"""The shapes of answers, as JSON Schema for the OpenAPI document."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to one of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, **more: Any) -> Schema:
    """An object with exactly these members, all present."""
    return {
        "type": "object",
        "properties": required,
        "required": list(required),
        "additionalProperties": False,
    } | more


def nullable(kind: str, **more: Any) -> Schema:
    """A value of that type or null."""
    return {"type": [kind, "null"]} | more


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DAY: Schema = {"type": "string", "format": "date"}
MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
ANY: Schema = {}
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
PSEUDONYM: Schema = {
    "type": "string",
    "format": "uuid",
    "description": "The installation's pseudonym, never its uid.",
}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def page(items: Schema) -> Schema:
    """A part of a longer list."""
    paging = record({"limit": COUNT, "offset": COUNT, "total": COUNT})
    return record({"paging_params": paging, "objs": listed(items)})


_STAGE = record({"records": nullable("integer"), "hash": nullable("string")})

_REPORT_TABLE: Schema = {
    "name": TEXT,
    "summary": TEXT,
    "model": {"type": "string", "description": "The dbt model whose documentation defines the columns."},
    "columns": listed(TEXT),
    "by_release": FLAG,
    "day": nullable("string", description="The column that from_date and to_date apply to."),
}

SCHEMAS: dict[str, Schema] = {
    "ReportTables": record({"reports": listed(record(_REPORT_TABLE))}),
    "ReportTable": record(
        _REPORT_TABLE
        | {
            "rows": listed(
                {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                }
            )
        },
        description="Over installations that are not filtered out.",
    ),
    "Error": record(
        {
            "status": {"const": "error"},
            "code": {"type": "string", "pattern": "^[a-z0-9_]+$"},
            "message": TEXT,
        },
        description="Every error: a machine-readable code and a sentence.",
    ),
    "Distributions": record(
        {
            "installations": record({"count": COUNT, "environments_num": COUNTS}),
            "environments": record(
                {
                    "count": COUNT,
                    "operable_envs_count": COUNT,
                    "statuses": COUNTS,
                    "nodes_num": COUNTS,
                    "hypervisors_num": COUNTS,
                    "oses_num": COUNTS,
                }
            ),
        },
        description="Over installations that are not filtered out. Sizes, hypervisors and operating systems count "
        "only environments that are operational or in error; operable_envs_count counts those.",
    ),
    "Releases": record({"releases": listed(record({"release": TEXT, "installations": COUNT}))}),
    "Summary": record(
        {
            "action_logs": record({"total": COUNT}),
            "installation_structures": record({"total": COUNT, "filtered": COUNT, "not_filtered": COUNT}),
            "oswl_stats": record({"total": COUNT}),
        }
    ),
    "Installation": record(
        {
            "id": {"type": "integer"},
            "master_node_uid": PSEUDONYM,
            "creation_date": TEXT,
            "modification_date": nullable("string"),
            "release": nullable("string"),
            "is_filtered": nullable("boolean"),
            "structure": {"type": "object"},
        }
    ),
    "Workload": record(
        {
            "master_node_uid": PSEUDONYM,
            "external_id": {"type": "integer"},
            "cluster_id": nullable("integer"),
            "created_date": nullable("string"),
            "updated_time": nullable("string"),
            "resource_type": TEXT,
            "resource_checksum": nullable("string"),
            "resource_data": nullable("object"),
            "version_info": nullable("object"),
        }
    ),
    "ActionLog": record(
        {"master_node_uid": PSEUDONYM, "external_id": {"type": "integer"}, "body": nullable("object")}
    ),
    "Order": {
        "type": "object",
        "required": ["report"],
        "properties": {"report": TEXT, "from_date": nullable("string"), "to_date": nullable("string")},
    },
    "Report": record(
        {
            "id": {"type": "string", "format": "uuid"},
            "report": TEXT,
            "from_date": DAY,
            "to_date": DAY,
            "state": {"enum": ["queued", "running", "done", "failed", "expired"]},
            "attempts": COUNT,
            "bytes": nullable("integer"),
            "sha256": nullable("string"),
            "publication_id": nullable("integer"),
            "error_code": nullable("string"),
            "error": nullable("string"),
            "created_at": MOMENT,
            "started_at": MOMENT,
            "finished_at": MOMENT,
            "status_url": TEXT,
            "file_url": nullable("string"),
        }
    ),
    "Reports": record({"reports": listed(ref("Report"))}),
    "Status": record(
        {
            "status": {"enum": ["ok", "empty", "audit_failed", "run_failed"]},
            "version": TEXT,
            "publication": record(
                {
                    "id": nullable("integer"),
                    "published_at": MOMENT,
                    "newest_received_at": MOMENT,
                    "freshness_seconds": nullable("number"),
                }
            ),
            "audit": record(
                {
                    "outcome": {"enum": ["none", "passed", "warned", "failed"]},
                    "publication_id": nullable("integer"),
                    "audited_at": MOMENT,
                    "reason": nullable("string"),
                    "expectations": COUNT,
                    "failed": listed({"type": "object"}),
                }
            ),
            "pipeline": record({"running": FLAG, "last_run": nullable("object")}),
            "extraction": nullable("object"),
        }
    ),
    "Integrity": record(
        {
            "agrees": FLAG,
            "checked_at": MOMENT,
            "checked": COUNT,
            "disagreeing": COUNT,
            "days": listed(
                record(
                    {
                        "day": DAY,
                        "kind": TEXT,
                        "tier": {"type": "integer"},
                        "agrees": FLAG,
                        "disagreement": nullable("string"),
                        "checked_at": MOMENT,
                        "stages": record(
                            dict.fromkeys(("ledger", "landed", "raw", "fact", "published"), _STAGE)
                        ),
                    }
                )
            ),
        }
    ),
    "Health": record({"status": {"const": "ok"}}),
    "Version": record({"service": TEXT, "version": TEXT}),
    "SignInNeeded": record({"required": FLAG}),
    "SignIn": {"type": "object", "required": ["token"], "properties": {"token": TEXT}},
}
