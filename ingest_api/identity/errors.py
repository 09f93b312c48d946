"""What is answered to a signing node whose signature or enrolment cannot be taken."""

from __future__ import annotations

from ingest_api.errors import IngestError


class IdentityError(IngestError):
    """An answer with its HTTP status. Only requests that carry a signature or enrol ever see one.

    Args:
        status: 400, 401, 403, 409 or 429.
        code: machine-readable, in the answer.
        sentence: for a person.
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.status = status
