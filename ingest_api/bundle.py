"""Bundles of nodes without a network: read from a file, checked, and taken as if they had come over HTTP.

A bundle is gzipped JSON lines, written by ``fuel-stat-sender export``: a head, then one line a request with its kind,
its body exactly as it would have been sent, the sha256 of that, and its signature when the node has a key. The whole
file is checked before anything of it is taken; each request is then judged, redacted and landed like any other, so
importing a bundle twice, or after a part of it came over the network, counts nothing twice.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuel_stat.errors import OperatorError
from ingest_api.app import Parts
from ingest_api.authentication import RequestFacts
from ingest_api.errors import IngestError, StoreUnavailableError
from ingest_api.kinds import Kind

FORMAT = "fuel-stat-bundle"
VERSION = 1
#: what a bundle's signatures name as the address; the path is what they cover
_ADDRESS = "http://bundle.invalid"
#: a body is JSON in ASCII: written as a string it can at most double, and a line has little else
_LINE_PER_BODY_BYTE = 2
_LINE_REST = 1 << 20
_HEAD_BYTES = 4096
_HEADERS = frozenset({"content-digest", "signature", "signature-input"})


@dataclass(frozen=True)
class Carried:
    """One request of a bundle: ``body`` is what the node would have sent, ``headers`` its signature, if any."""

    number: int
    kind: str
    body: bytes
    digest: str
    headers: Mapping[str, str]


@dataclass
class Imported:
    """What became of a bundle: records by answer, set aside and removed values by their code, refused requests."""

    uid: str
    made_at: str
    requests: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)


def import_bundle(parts: Parts, path: Path) -> Imported:
    """Take every request of a bundle.

    Args:
        parts: the collector's, over a database address that may write.
        path: the file.

    Raises:
        OperatorError: ``not_a_bundle``, ``newer_bundle`` or ``bundle_damaged``: nothing was taken;
            ``store_unavailable``: the database went away in between, import the bundle again.
    """
    head = _head(path)
    for _ in _requests(path, parts.settings.max_body_bytes):
        pass  # every line is read and checked before the first is taken
    done = Imported(str(head.get("uid", "")), str(head.get("made_at", "")))
    for carried in _requests(path, parts.settings.max_body_bytes):
        _take(parts, carried, done)
    return done


def _take(parts: Parts, carried: Carried, done: Imported) -> None:
    done.requests += 1
    kind = parts.kinds.get(carried.kind)
    if kind is None:
        done.refused.append(f"request {carried.number}: the kind {carried.kind!r} is not declared here")
        return
    try:
        answer = parts.intake.receive(kind, carried.body, None, _judge(parts, kind, carried))
    except StoreUnavailableError as error:
        sentence = f"{error.sentence} {done.requests - 1} requests were taken: import the bundle again."
        raise OperatorError("store_unavailable", sentence) from error
    except IngestError as error:
        done.refused.append(f"request {carried.number}: {error.sentence} [{error.code}]")
        return
    done.counts.update(answer.counts)
    done.set_aside.update(answer.refused)
    done.removed.update(answer.removed)
    done.answers.append({"digest": carried.digest, "kind": kind.name, "records": answer.statuses})


def _judge(parts: Parts, kind: Kind, carried: Carried) -> Any:
    url = f"{_ADDRESS}/api/v1/{kind.name}/"
    ordered = kind.ledger == "latest"
    facts = RequestFacts("POST", url, carried.headers, carried.body, ordered=ordered, carried=True)
    return lambda uids: parts.authentication.judge(facts, uids)


def _head(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path, "rb") as file:
            head = json.loads(file.readline(_HEAD_BYTES))
    except (OSError, ValueError, EOFError) as error:
        raise OperatorError("not_a_bundle", f"{path} cannot be read as a bundle: {error}.") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise OperatorError("not_a_bundle", f"{path} is not a bundle of fuel-stat-sender.")
    if not isinstance(head.get("version"), int) or head["version"] > VERSION:
        raise OperatorError("newer_bundle", f"{path} was written by a newer release: update this one first.")
    return head


def _requests(path: Path, most_body: int) -> Iterator[Carried]:
    most = most_body * _LINE_PER_BODY_BYTE + _LINE_REST
    try:
        with gzip.open(path, "rb") as file:
            file.readline(_HEAD_BYTES)
            for number, line in enumerate(iter(lambda: file.readline(most + 1), b""), 1):
                if len(line) > most or not line.endswith(b"\n"):
                    raise OperatorError("bundle_damaged", f"{path}: request {number} is cut or too long.")
                yield _carried(path, number, line, most_body)
    except (OSError, EOFError) as error:
        raise OperatorError("bundle_damaged", f"{path} is damaged: {error}.") from error


def _carried(path: Path, number: int, line: bytes, most_body: int) -> Carried:
    try:
        entry = json.loads(line)
        body = entry["body"].encode("ascii")
        kind, digest = str(entry["kind"]), str(entry["digest"])
        headers = {name: str(entry["signature"][name]) for name in _HEADERS} if "signature" in entry else {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperatorError("bundle_damaged", f"{path}: request {number} cannot be read.") from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise OperatorError("bundle_damaged", f"{path}: the body of request {number} was changed.")
    if len(body) > most_body:
        raise OperatorError("bundle_damaged", f"{path}: request {number} has more than {most_body} bytes.")
    return Carried(number, kind, body, digest, headers)
