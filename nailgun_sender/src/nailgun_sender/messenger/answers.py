"""What is done with each answer: the one table that decides whether a record is sent, parked or tried again.

| answer | what is done |
|---|---|
| 2xx, ``status: ok``, one verdict a record | each record by its verdict (``VERDICTS``); one without a verdict stays |
| 2xx that is not the collector's JSON (a portal, a proxy) | tried again later |
| 400, 422, 413 | the batch is halved and tried; a single record is parked and reported |
| 401 ``clock_skew`` | signed again with the collector's time |
| 401 ``replayed`` | the structure was overtaken: dropped, a newer one follows |
| other 401, 403, 404, 3xx, other 4xx | the cycle ends and says so; nothing is parked: address or key is wrong |
| 408, 425, 429, 5xx, no answer | tried again with growing, jittered waits; ``Retry-After`` is honoured |
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Act(Enum):
    """What to do next."""

    DELIVERED = "delivered"
    SPLIT = "split"
    RESIGN = "resign"
    OVERTAKEN = "overtaken"
    RETRY = "retry"
    STOP = "stop"


# By kind: verdict -> is the record done with? ("park" = never send this version again by itself)
VERDICTS: Mapping[str, Mapping[str, str]] = {
    "action_logs": {"added": "sent", "existed": "sent", "skipped": "keep", "failed": "park"},
    "oswl_stats": {"added": "sent", "updated": "sent", "existed": "sent", "failed": "park"},
}
_AGAIN = {408, 425, 429}
_SPLIT = {400, 413, 422}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: body at most a mebibyte."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Mapping[str, Any] | None:
        """The body as an object; None when it is not one."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None


@dataclass(frozen=True)
class Judged:
    """What to do with an answer, with a short sentence for the operator."""

    act: Act
    detail: str
    wait: float = 0.0
    document: Mapping[str, Any] | None = None


def judge(answer: Answer) -> Judged:
    """Apply the table."""
    document = answer.json()
    code = str((document or {}).get("code", ""))
    if 200 <= answer.status < 300:
        if document is not None and document.get("status") == "ok":
            return Judged(Act.DELIVERED, f"{answer.status} ok", document=document)
        return Judged(Act.RETRY, f"{answer.status}, but the answer is not the collector's")
    if answer.status in _AGAIN or answer.status >= 500:
        return Judged(Act.RETRY, f"{answer.status} {code}".strip(), retry_after(answer.headers))
    if answer.status in _SPLIT:
        return Judged(Act.SPLIT, f"{answer.status} {code}".strip(), document=document)
    if answer.status == 401 and code == "clock_skew":
        return Judged(Act.RESIGN, "the clocks differ")
    if answer.status == 401 and code == "replayed":
        return Judged(Act.OVERTAKEN, "a newer structure was sent before")
    return Judged(Act.STOP, f"{answer.status} {code}".strip())


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the collector asks to wait (number or date); 0 when it does not say."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, at.timestamp() - time.time())


def collectors_time(headers: Mapping[str, str]) -> float | None:
    """Seconds since the epoch by the collector's ``Date``; None when it does not say."""
    try:
        return email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
