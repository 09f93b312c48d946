"""A legacy node: its unsent rows and its cycle, with the habits and flaws of Nailgun's own sender."""

import json
from datetime import datetime
from typing import Any

from fleet.actions import Action
from fleet.installation import Installation, Visit
from fleet.records import sent_of, statuses
from fleet.tally import TallyStore
from fleet.truth import summarise
from fleet.wire import Answer, Connection

ACTION_PAGE = 100
WORKLOAD_PAGE = 10


class Node:
    """Sends what an installation has to tell over one connection, and keeps the tally of it."""

    def __init__(self, installation: Installation, store: TallyStore, connection: Connection) -> None:
        self.installation = installation
        self.store = store
        self.connection = connection
        self._unsent_actions: dict[int, Action] = {}
        self._unsent_workloads: dict[int, dict[str, Any]] = {}
        self._known_until: datetime | None = None
        self._refused: set[int] = set()

    def wake(self, visit: Visit) -> None:
        """Take in what has happened since the visit before."""
        for action in self.installation.actions:
            new = self._known_until is None or action.started > self._known_until
            if new and action.started <= visit.moment:
                self._unsent_actions[action.external_id] = action
        self._known_until = visit.moment
        for workload in visit.workloads:
            record = workload.record(self.installation.uid, self.installation.clock)
            self._unsent_workloads[workload.id] = record

    @property
    def backlog(self) -> int:
        """Rows that another cycle could still get rid of: not the unfinished, not the refused."""
        moment = self._known_until
        actions = [
            action
            for number, action in self._unsent_actions.items()
            if number not in self._refused and moment is not None and action.finished_at(moment)
        ]
        return len(actions) + len(self._unsent_workloads)

    def cycle(self, visit: Visit) -> float | None:
        """Ping, action logs, structure, workloads. Returns the seconds that a refusal asked to wait.

        Raises:
            CycleAbortedError: the collector did not answer, or not in JSON.
        """
        answers = [self.connection.ping()]
        if answers[0].acceptable:
            answers += self._send_actions(visit)
            answers.append(self._send_structure(visit))
            answers += self._send_workloads()
        waits = [answer.retry_after or 1.0 for answer in answers if answer.status in (429, 503)]
        return max(waits, default=None)

    def _send_actions(self, visit: Visit) -> list[Answer]:
        """Pages with LIMIT 100 OFFSET n over rows of which it marks some meanwhile, as Nailgun does."""
        answers, offset = [], 0
        while True:
            page = list(self._unsent_actions.values())[offset : offset + ACTION_PAGE]
            if page:
                answers.append(self._send_action_page(page, visit))
            offset += ACTION_PAGE
            if len(page) < ACTION_PAGE:
                return answers

    def _send_action_page(self, page: list[Action], visit: Visit) -> Answer:
        records = [action.record(self.installation.uid, visit.moment) for action in page]
        answer, answered = self._send_list("action_logs", records)
        for action in page:
            status = answered.get(action.external_id)
            if status == "failed":
                self._refused.add(action.external_id)
            elif status not in (None, "skipped"):
                del self._unsent_actions[action.external_id]
        return answer

    def _send_structure(self, visit: Visit) -> Answer:
        uid = self.installation.uid
        text = json.dumps({"installation_structure": visit.structure})
        sent = sent_of("installation_structure", visit.structure)
        self.store.sending([sent])
        answer = self.connection.post("installation_structure", text, uid)
        if answer.acceptable:
            self.store.structure_stored(uid, summarise(visit.structure))
            self.store.answered([(sent, "created" if answer.status == 201 else "updated")])
        elif answer.status == 400:
            self.store.answered([(sent, "failed")])
        return answer

    def _send_workloads(self) -> list[Answer]:
        """Pages of ten; within a cycle each request repeats the ones before, as Nailgun's does."""
        answers, offset = [], 0
        growing: list[dict[str, Any]] = []
        while True:
            page = list(self._unsent_workloads.values())[offset : offset + WORKLOAD_PAGE]
            growing += page
            if page:
                answers.append(self._send_workload_list(growing))
            offset += WORKLOAD_PAGE
            if len(page) < WORKLOAD_PAGE:
                return answers

    def _send_workload_list(self, records: list[dict[str, Any]]) -> Answer:
        answer, answered = self._send_list("oswl_stats", records)
        for record in records:
            if answered.get(record["id"]) not in (None, "failed"):
                self._unsent_workloads.pop(record["id"], None)
        return answer

    def _send_list(self, kind: str, records: list[dict[str, Any]]) -> tuple[Answer, dict[int, str]]:
        sent = [sent_of(kind, record) for record in records]
        self.store.sending(sent)
        answer = self.connection.post(kind, json.dumps({kind: records}), self.installation.uid)
        answered = statuses(answer, kind, sent)
        self.store.answered([(one, answered[one.id]) for one in sent if one.id in answered])
        return answer, answered
