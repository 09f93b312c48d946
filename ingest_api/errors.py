"""What the collector refuses, and how each refusal is answered.

Every error carries a machine-readable code, one sentence and the HTTP status that a node sees. The sentence
never contains anything of the payload.
"""

from __future__ import annotations

from fuel_stat.errors import FuelStatError


class IngestError(FuelStatError):
    """The root of the collector's errors: answered as JSON with ``status`` 400 unless said otherwise."""

    status = 400
    retry_after: int | None = None


class NotJsonError(IngestError):
    """The body is not JSON at all (``not_json``) or not UTF-8 (``not_utf8``): only its digest is kept."""


class BrokenEnvelopeError(IngestError):
    """The body is JSON but not this kind's envelope: unknown or missing member, wrong type, too many records."""


class BodyTooLargeError(IngestError):
    """The body, as sent or inflated, is longer than the collector takes: 413."""

    status = 413


class UnsupportedEncodingError(IngestError):
    """A Content-Encoding that the collector does not read: 415."""

    status = 415


class QuotaExceededError(IngestError):
    """A node, an address prefix or the whole service sent more than its quota: 429 with Retry-After."""

    status = 429

    def __init__(self, code: str, sentence: str, retry_after: int) -> None:
        super().__init__(code, sentence)
        self.retry_after = retry_after


class StoreUnavailableError(IngestError):
    """The database cannot take the request now: 503 with Retry-After. A node sends again; nothing is lost."""

    status = 503
    retry_after = 5


class StoreRefusedError(IngestError):
    """The database refused the values themselves (``storage_refused``): sending again would not help."""


class KindError(FuelStatError):
    """A kind's folder is not usable: the collector refuses to start with it."""
