"""POST /api/v1/enrol: a node binds its key. The table of answers is in ``ingest_api.identity.enrolment``."""

from __future__ import annotations

import falcon
import orjson

from ingest_api.authentication import url_as_sent
from ingest_api.bodies import read_body
from ingest_api.identity.directory import Directory
from ingest_api.identity.enrolment import Outcome, enrol, parse_enrolment
from ingest_api.identity.errors import IdentityError
from ingest_api.identity.signatures import Message
from ingest_api.limits import Limits, client_prefix, parse_networks
from ingest_api.settings import Settings
from ingest_api.store import Store

MAX_BODY_BYTES = 8192


class EnrolResource:
    """Enrolment over HTTP.

    Args:
        store: the collector's database.
        directory: this worker's cache, told to look again after a change.
        limits: an enrolment counts like a report, and one for an unheard uid like a new node.
        settings: whose word about addresses is believed.
    """

    label = "enrol"

    def __init__(self, store: Store, directory: Directory, limits: Limits, settings: Settings) -> None:
        self._store = store
        self._directory = directory
        self._limits = limits
        self._proxies = parse_networks(settings.proxies)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """200, 201 or 202 with ``{"status", "state", "tier", "key_id"}``; errors as IdentityError says."""
        prefix = client_prefix(request.remote_addr, request.get_header("X-Forwarded-For"), self._proxies)
        self._limits.take_request(prefix, request.content_length or 0)
        body = read_body(request, MAX_BODY_BYTES)
        outcome, key_id = self._enrol(request, prefix, body)
        response.status = outcome.status
        response.media = {
            "status": "ok",
            "state": outcome.state,
            "tier": outcome.tier,
            "key_id": key_id,
        }

    def _enrol(self, request: falcon.Request, prefix: str, body: bytes) -> tuple[Outcome, str]:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise IdentityError(400, "not_json", "The body is not JSON.") from error
        wanted = parse_enrolment(document)
        self._limits.take_nodes(prefix, [wanted.uid])
        message = Message(request.method, url_as_sent(request.env), request.headers)
        outcome = self._store.run(lambda connection: enrol(connection, wanted, message, body))
        self._directory.forget()
        return outcome, wanted.key_id
