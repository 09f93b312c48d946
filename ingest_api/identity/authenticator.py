"""The collector's authentication: legacy nodes pass as T0, nodes with a key are held to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest_api.authentication import RequestFacts
from ingest_api.identity.directory import Directory
from ingest_api.identity.verdict import judge
from ingest_api.intake import Verdict
from ingest_api.store import Store


class SignedAuthentication:
    """Judges by enrolled keys; the worker's directory of them is read at most every two seconds.

    Args:
        store: the collector's database.
        directory: shared with the enrolment resource, which makes it look again after a change.
    """

    def __init__(self, store: Store, directory: Directory | None = None) -> None:
        self._store = store
        self.directory = directory or Directory()

    def judge(self, facts: RequestFacts, uids: Sequence[str]) -> Mapping[str, Verdict]:
        """A verdict for each uid.

        Raises:
            IdentityError: 401 for a validly signed request from another time.
            StoreUnavailableError: the keys cannot be read now.
        """
        fresh = self.directory.fresh()
        if fresh is not None and fresh.is_empty:
            return {}
        return self._store.run(lambda connection: judge(self.directory, connection, facts, uids))
