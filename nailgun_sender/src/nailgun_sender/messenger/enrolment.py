"""Binding this node's key at the collector, once; afterwards every report is signed."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import SenderError
from ..store import Store
from ..store.upsert import insert_or_ignore
from .answers import Answer
from .settings import MessengerSettings
from .signing import Key
from .transport import Transport

PATH = "/api/v1/enrol"
FACT = "enrolled"


class EnrolmentError(SenderError):
    """``no_key_file``, or the collector's own code (``bad_code``, ``node_blocked`` …)."""


def enrol(store: Store, settings: MessengerSettings, uid: str, code: str | None = None) -> str:
    """Ask the collector to bind our key; returns ``active`` or ``pending`` (its operator has to decide).

    Only an active key signs: a pending one has no effect at the collector.

    Raises:
        EnrolmentError: it was refused; the sentence is the collector's.
        TransportError: it did not answer.
    """
    if not settings.key_file:
        raise EnrolmentError("no_key_file", "Set key_file to where the node's key may be kept.")
    key = Key.load_or_make(Path(settings.key_file))
    body = json.dumps(key.enrolment(uid, code)).encode("ascii")
    transport = Transport(settings)
    try:
        headers = {"Content-Type": "application/json"}
        answer = transport.request("POST", PATH, body, headers)
    finally:
        transport.close()
    return _outcome(store, answer, key)


def _outcome(store: Store, answer: Answer, key: Key) -> str:
    document = answer.json() or {}
    if answer.status not in (200, 201, 202):
        code = str(document.get("code", f"http_{answer.status}"))
        raise EnrolmentError(code, str(document.get("message", "The collector refused the key.")))
    state = str(document.get("state", ""))
    if state == "active":
        with store.write() as connection:
            insert_or_ignore(connection, store.tables.facts, [{"name": FACT, "value": key.key_id}])
    return state
