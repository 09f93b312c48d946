"""HTTP as the nodes in the field speak it: requests 2.11, keep-alive, five seconds of patience.

A node reads `resp.json()["status"]` from every answer and takes 200 and 201 with `ok` for success; an answer that
is not JSON ends its cycle (contract, section 1, "The client").
"""

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from fleet.errors import FleetError

TIMEOUT_SECONDS = 5.0

_RESOURCES = {
    "action_logs": "/api/v1/action_logs/",
    "installation_structure": "/api/v1/installation_structure/",
    "oswl_stats": "/api/v1/oswl_stats/",
}


class CycleAbortedError(Exception):
    """The node gives up this cycle: no answer, or one that it cannot read. It tries again in an hour."""


@dataclass(frozen=True)
class Answer:
    """What came back: the HTTP status, the JSON document, and what `Retry-After` asks for (seconds)."""

    status: int
    document: dict[str, Any]
    retry_after: float | None = None

    @property
    def acceptable(self) -> bool:
        """Whether a node takes it for success."""
        return self.status in (200, 201) and self.document.get("status") == "ok"


class Connection:
    """One keep-alive connection of a node to the collector at `url` (http or https)."""

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FleetError("bad_url", f"{url!r} is not an address like http://127.0.0.1:8101")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._prefix = parts.path.rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._connection.close()

    def ping(self) -> Answer:
        """Ask whether the collector is there, as a node does before each cycle."""
        return self.exchange("GET", "/api/v1/ping/", None, {})

    def post(self, kind: str, body: str, uid: str) -> Answer:
        """Send a body of a kind of statistics in the name of `uid`.

        Raises:
            CycleAbortedError: no answer came, or it was not a JSON object.
        """
        headers = {"content-type": "application/json", "master-node-uid": uid}
        return self.exchange("POST", _RESOURCES[kind], body.encode("ascii"), headers)

    def exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request and its answer on the kept connection, which is opened anew when it was closed.

        Raises:
            CycleAbortedError: no answer came, or it was not a JSON object.
        """
        all_headers = {
            "Connection": "keep-alive",
            "Accept-Encoding": "gzip, deflate",
            "Accept": "*/*",
            "User-Agent": "python-requests/2.11.1",
            **headers,
        }
        # A kept connection may have been closed by the server meanwhile; then, and only then, once more.
        for fresh in (self._connection.sock is None, True):
            try:
                self._connection.request(method, self._prefix + path, body, all_headers)
                return _read(self._connection.getresponse())
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                self._connection.close()
                if fresh:
                    raise CycleAbortedError(str(error)) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._connection.close()
                raise CycleAbortedError(f"{type(error).__name__}: {error}") from error
        raise AssertionError("unreachable")


def _read(response: http.client.HTTPResponse) -> Answer:
    data = response.read()
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError("the answer is not a JSON object")
    retry_after = response.getheader("Retry-After")
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    return Answer(response.status, document, seconds)
