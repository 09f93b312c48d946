"""Records as they travel: what the tally needs to know of each, and how an answer is read per record."""

import hashlib
import json
from typing import Any

from fleet.tally import Sent
from fleet.wire import Answer

ID_FIELD = {"action_logs": "external_id", "oswl_stats": "id"}
"""Kinds that are sent as lists, and the member that carries a record's id."""


def sent_of(kind: str, record: dict[str, Any]) -> Sent:
    """The tally's view of a record of `kind` (for structures: the structure itself)."""
    text = json.dumps(record)
    digest = hashlib.blake2b(text.encode("ascii"), digest_size=8).digest()
    uid = record["master_node_uid"]
    if kind == "action_logs":
        body = record["body"]
        number = record["external_id"]
        return Sent(kind, uid, "", number, _is_finished(body), digest, _action_label(body))
    if kind == "oswl_stats":
        subtype = str(record["resource_type"])
        return Sent(kind, uid, subtype, record["id"], True, digest, subtype)
    return Sent(kind, uid, "", 0, True, digest)


def statuses(answer: Answer, kind: str, sent: list[Sent]) -> dict[int, str]:
    """What became of each record, by its id.

    A request without one good record is refused as a whole with 400: all its finished records have then failed.
    Any other refusal (429, 503, ...) says nothing about the records.
    """
    if answer.acceptable:
        return {entry[ID_FIELD[kind]]: entry["status"] for entry in answer.document.get(kind, [])}
    if answer.status == 400:
        return {one.id: "failed" for one in sent if one.finished}
    return {}


def _is_finished(body: dict[str, Any]) -> bool:
    return body.get("action_type") != "nailgun_task" or bool(body.get("end_timestamp"))


def _action_label(body: dict[str, Any]) -> str:
    """`type/name/outcome` of an action: what the truth about actions is counted by."""
    info = body.get("additional_info", {})
    if body.get("action_type") == "nailgun_task":
        outcome = info.get("ended_with_status")
    else:
        outcome = str(info.get("response_data", {}).get("status"))[:3]
    return f"{body.get('action_type')}/{body.get('action_name')}/{outcome}"
