"""The host's own description: its structure, sent when it changed or is due, and a look at its workloads."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Callable

from ..consent import Permission, agreed
from ..errors import ProviderError
from ..providers import StructureProvider, WorkloadProvider
from ..sanitise.structure import structure as sanitise
from ..store import Store
from ..store.upsert import insert_or_ignore
from ..workloads import record
from .parcel import Item

log = logging.getLogger("nailgun_sender.messenger")
TROUBLE = "host_trouble"


class Description:
    """What the host says of itself.

    A provider is the host's own code. Whatever it raises is kept for the operator (``trouble``) and never keeps the
    recorded actions from being sent.
    """

    def __init__(
        self,
        store: Store,
        structure: StructureProvider | None,
        workloads: WorkloadProvider | None,
        heartbeat: float,
    ) -> None:
        self._store = store
        self._structure = structure
        self._workloads = workloads
        self._heartbeat = heartbeat

    def look_at_workloads(self, granted: Permission) -> None:
        """Enter what runs now into the day's records."""
        provider = self._workloads
        if provider is None or "workloads" not in granted.levels:
            return
        looks = self._ask("workloads", lambda: list(provider.workloads()))
        if looks is None:
            return
        try:
            record(self._store, looks)
        except ProviderError as error:
            self._note("workloads", error)

    def fresh_structure(self, granted: Permission, uid: str) -> Item | None:
        """The structure as it may be sent; None when it was sent already or may not be."""
        provider = self._structure
        if provider is None or "configuration" not in granted.levels:
            return None
        contact = "contact" in granted.levels
        found = self._ask("structure", lambda: sanitise(provider.structure(), contact=contact))
        if found is None:
            return None
        levels = ("configuration", "contact") if contact else ("configuration",)
        document = agreed({**found, "master_node_uid": uid}, levels, granted.text_version)
        document.setdefault("user_information", {"contact_info_provided": False})
        return None if self._is_known(document) else Item(0, 0, document)

    def remember(self, document: Mapping[str, Any]) -> None:
        """Note that this structure was sent, so that it is not sent again until it changes."""
        self._keep({"structure_sent": _digest(document), "structure_sent_at": str(time.time())})

    def _is_known(self, document: Mapping[str, Any]) -> bool:
        if self._store.fact("structure_sent") != _digest(document):
            return False
        sent_at = float(self._store.fact("structure_sent_at") or 0)
        return 0 <= time.time() - sent_at < self._heartbeat

    def _ask(self, what: str, question: Callable[[], Any]) -> Any:
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 - the host's code: see the class
            self._note(what, error)
            return None
        if self._store.fact(f"{TROUBLE}_{what}"):
            self._keep({f"{TROUBLE}_{what}": ""})
        return answer

    def _note(self, what: str, error: Exception) -> None:
        trouble = f"{what}: {type(error).__name__}: {error}"[:300]
        if self._store.fact(f"{TROUBLE}_{what}") != trouble:
            log.warning("the host cannot be described: %s", trouble)
            self._keep({f"{TROUBLE}_{what}": trouble})

    def _keep(self, values: Mapping[str, str]) -> None:
        facts = self._store.tables.facts
        with self._store.write() as connection:
            for name, value in values.items():
                insert_or_ignore(connection, facts, [{"name": name, "value": value}])
                connection.execute(facts.update().where(facts.c.name == name).values(value=value))


def troubles(store: Store) -> list[str]:
    """What the host could not say at the last attempt."""
    found = [store.fact(f"{TROUBLE}_{what}") for what in ("structure", "workloads")]
    return [each for each in found if each]


def _digest(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
