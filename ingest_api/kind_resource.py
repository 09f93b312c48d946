"""POST of one kind of statistics."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import falcon

from fuel_stat.log import get
from fuel_stat.metrics import Registry
from ingest_api import answers
from ingest_api.authentication import Authentication, RequestFacts, url_as_sent
from ingest_api.bodies import inflate, read_body
from ingest_api.intake import Intake, Verdict
from ingest_api.kinds import Kind
from ingest_api.limits import Limits, client_prefix, parse_networks
from ingest_api.outcome import Answer
from ingest_api.settings import Settings

log = get(__name__)


class _Headers(Mapping[str, str]):
    """A request's headers, gathered when somebody looks: hardly any request is signed."""

    def __init__(self, req: falcon.Request) -> None:
        self._req = req

    def __getitem__(self, name: str) -> str:
        return self._req.headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._req.headers)

    def __len__(self) -> int:
        return len(self._req.headers)


class KindResource:
    """``/api/v1/<kind>/``: 200 (201 for a new node's structure) when at least one record is good, 400 when none is."""

    def __init__(
        self,
        kind: Kind,
        intake: Intake,
        authentication: Authentication,
        settings: Settings,
        metrics: Registry,
        limits: Limits,
    ) -> None:
        self._kind = kind
        self._intake = intake
        self._authentication = authentication
        self._settings = settings
        self._metrics = metrics
        self._limits = limits
        self._proxies = parse_networks(settings.proxies)
        self._check = answers.ResponseCheck(kind)
        self.label = kind.name

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take the records of a request. When the answer says success, they are committed."""
        started = time.perf_counter()
        prefix = client_prefix(req.remote_addr, req.get_header("X-Forwarded-For"), self._proxies)
        self._limits.take_request(prefix, req.content_length or 0)
        raw = read_body(req, self._settings.max_body_bytes)
        encoding = req.get_header("Content-Encoding")
        body = raw
        if encoding:
            body = inflate(raw, encoding, self._settings.max_body_bytes)
            self._limits.take_inflated(prefix, len(body))
        answer = self._intake.receive(
            self._kind, body, req.get_header("master-node-uid"), self._judge(req, raw, prefix)
        )
        self._count(answer, len(body))
        shown = self._shown(answer, time.perf_counter() - started)
        if random.random() < self._settings.validate_responses:  # noqa: S311 - a sample
            self._validate(shown)
        resp.status = falcon.code_to_http_status(answer.status)
        resp.content_type = answers.JSON
        resp.data = answers.dumps(shown)
        req.context.counts = answer.counts

    def _judge(self, req: falcon.Request, raw: bytes, prefix: str) -> Any:
        counted: set[str] = set()

        def judge(uids: Sequence[str]) -> Mapping[str, Verdict]:
            facts = RequestFacts(
                req.method, url_as_sent(req.env), _Headers(req), raw, ordered=self._kind.ledger == "latest"
            )
            verdicts = self._authentication.judge(facts, uids)
            # Asked twice for a structure that has changed, which is still one request.
            fresh = [uid for uid in uids if uid not in counted]
            counted.update(fresh)
            signed = {uid for uid, verdict in verdicts.items() if verdict.tier}
            self._limits.take_nodes(prefix, fresh, signed)
            return verdicts

        return judge

    def _shown(self, answer: Answer, seconds: float) -> dict[str, Any]:
        shown: dict[str, Any]
        if answer.status < 400:
            shown = {"status": "ok", "exec_time": round(seconds, 6)}
        else:
            shown = {**answers.error_body("no_good_record", answer.message)}
        if self._kind.many:
            shown[self._kind.name] = answer.statuses
        return shown

    def _count(self, answer: Answer, size: int) -> None:
        name = self._kind.name
        self._metrics.labelled("ingest_body_bytes_total", name).inc(size)
        for status, count in answer.counts.items():
            self._metrics.labelled("ingest_records_total", name, status).inc(count)
        for rule, count in answer.removed.items():
            self._metrics.labelled("ingest_redacted_values_total", rule).inc(count)
        for code, count in answer.refused.items():
            self._metrics.labelled("ingest_quarantined_total", name, code).inc(count)

    def _validate(self, shown: dict[str, Any]) -> None:
        if self._check.matches(shown):
            return
        self._metrics.labelled("ingest_response_mismatches_total", self._kind.name).inc()
        log.error("response_mismatch", resource=self._kind.name)
        if self._settings.validate_responses >= 1:
            raise AssertionError(f"the answer of {self._kind.name} does not match its schema")
