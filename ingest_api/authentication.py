"""Who sent this? The seam between the collector and identity: facts of a request in, a verdict for each uid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ingest_api.intake import Verdict


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a signature can cover: ``url`` as the client saw it, ``body`` as received, before any inflating.

    ``ordered``: the kind keeps only the latest record, so an old request sent again must be noticed.
    ``carried``: it came in a bundle, so it may have been signed long ago.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    ordered: bool = False
    carried: bool = False


def url_as_sent(environ: Mapping[str, Any]) -> str:
    """The address with the path exactly as it came over the wire.

    The routed path has lost its trailing slash and its escapes, and a signature covers what was sent.
    """
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO") or "/")
    if raw.startswith("/"):
        return f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST') or 'localhost'}{raw}"
    return raw


class Authentication(Protocol):
    """Judges the uids of a request. Must cost no round trip for unsigned requests of nodes without a key."""

    def judge(self, facts: RequestFacts, uids: Sequence[str]) -> Mapping[str, Verdict]:
        """A verdict for each uid; a uid that is missing in the result is trusted as T0.

        Raises:
            IngestError: for a request that carries a signature which is not right (401, 403).
        """


class Unsigned:
    """Every node is T0."""

    def judge(self, facts: RequestFacts, uids: Sequence[str]) -> Mapping[str, Verdict]:
        """See :class:`Authentication`."""
        return {}
