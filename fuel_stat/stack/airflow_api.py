"""A client of Airflow's public API: what `pipeline run` and `up` need of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from fuel_stat.errors import FuelStatError, OperatorError
from fuel_stat.stack.airflow_setup import USER
from fuel_stat.stack.environment import Wiring

#: States of a run that are its end.
FINISHED = frozenset({"success", "failed"})

_READ_TRIES = 4


class AirflowApiError(FuelStatError):
    """Airflow refused a request or did not answer. ``status`` is that of a refusal."""

    def __init__(self, code: str, sentence: str, status: int | None = None) -> None:
        super().__init__(code, sentence)
        self.status = status


@dataclass(frozen=True)
class Run:
    """A run of a DAG."""

    dag: str
    run_id: str
    state: str
    queued_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in FINISHED


@dataclass(frozen=True)
class Task:
    """A task of a run."""

    task_id: str
    state: str | None
    try_number: int


class AirflowApi:
    """A session with Airflow, signed in as its administrator."""

    def __init__(self, base: str, password: str, *, user: str = USER) -> None:
        self._credentials = {"username": user, "password": password}
        # The environment may name a proxy: what is on loopback is not for it.
        self._client = httpx.Client(base_url=base, timeout=30.0, trust_env=False)

    @classmethod
    def of(cls, wiring: Wiring) -> Self:
        """The session with the stack's own Airflow."""
        return cls(wiring.url("airflow"), wiring.secrets["AIRFLOW_ADMIN_PASSWORD"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """A call below ``/api/v2``; the answer's JSON, None for an empty one.

        Raises:
            AirflowApiError: ``airflow_refused`` (the sentence carries status and detail), ``airflow_silent``.
        """
        try:
            answer = self._patiently(method, f"/api/v2/{path}", options)
        except httpx.HTTPError as error:
            sentence = f"Airflow does not answer at {self._client.base_url} ({type(error).__name__})."
            raise AirflowApiError("airflow_silent", sentence) from error
        if answer.is_error:
            sentence = f"{method} {path}: {answer.status_code} {answer.text[:300]}"
            raise AirflowApiError("airflow_refused", sentence, answer.status_code)
        return answer.json() if answer.content else None

    def _patiently(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        """The answer, signed in anew when that has expired; reading is tried again when a busy machine is slow."""
        for remaining in reversed(range(_READ_TRIES if method == "GET" else 1)):
            try:
                if "Authorization" not in self._client.headers:
                    self._sign_in()
                answer = self._client.request(method, path, **options)
                if answer.status_code != httpx.codes.UNAUTHORIZED:
                    return answer
                self._sign_in()
                return self._client.request(method, path, **options)
            except httpx.TransportError:
                if not remaining:
                    raise
                time.sleep(1)
        raise AssertionError("the loop returns or raises")

    def _sign_in(self) -> None:
        answer = self._client.post("/auth/token", json=self._credentials)
        if answer.is_error:
            raise AirflowApiError(
                "airflow_refused", f"Airflow refuses the administrator: {answer.status_code}."
            )
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def dags(self) -> dict[str, bool]:
        """Every DAG's id and whether it is paused."""
        found = self.request("GET", "dags", params={"limit": 100, "exclude_stale": True})["dags"]
        return {dag["dag_id"]: bool(dag["is_paused"]) for dag in found}

    def import_errors(self) -> list[str]:
        """What keeps DAG files from being read: one line each."""
        errors = self.request("GET", "importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def pause(self, dag: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.request("PATCH", f"dags/{dag}", params={"update_mask": "is_paused"}, json={"is_paused": paused})

    def reparse(self, dag: str) -> None:
        """Have the DAG's file read again now, not at its next turn."""
        token = self.request("GET", f"dags/{dag}")["file_token"]
        try:
            self.request("PUT", f"parseDagFile/{token}")
        except AirflowApiError as error:
            # Somebody has asked for the same already.
            if error.status != httpx.codes.CONFLICT:
                raise

    def ensure_pools(self, slots: Mapping[str, int]) -> None:
        """Make the pools that are missing; those that exist keep the slots that an operator gave them."""
        existing = {pool["name"] for pool in self.request("GET", "pools", params={"limit": 100})["pools"]}
        for name in slots.keys() - existing:
            self.request(
                "POST", "pools", json={"name": name, "slots": slots[name], "include_deferred": False}
            )

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run with these parameters.

        Raises:
            OperatorError: ``unknown_dag``.
        """
        if dag not in self.dags():
            raise OperatorError(
                "unknown_dag", f"Airflow has no DAG {dag!r}; it has: {', '.join(self.dags())}."
            )
        body = {"logical_date": None, "conf": dict(conf or {})}
        return _run(self.request("POST", f"dags/{dag}/dagRuns", json=body))

    def run(self, dag: str, run_id: str) -> Run:
        """One run as it is now."""
        return _run(self.request("GET", f"dags/{dag}/dagRuns/{run_id}"))

    def runs(self, dag: str, limit: int = 20) -> list[Run]:
        """The newest runs of a DAG, newest first."""
        found = self.request("GET", f"dags/{dag}/dagRuns", params={"limit": limit, "order_by": "-run_after"})
        return [_run(item) for item in found["dag_runs"]]

    def tasks(self, run: Run) -> Sequence[Task]:
        """The tasks of a run, in the order in which they began."""
        path = f"dags/{run.dag}/dagRuns/{run.run_id}/taskInstances"
        found = self.request("GET", path, params={"limit": 100, "order_by": "start_date"})["task_instances"]
        return [Task(item["task_id"], item["state"], item["try_number"]) for item in found]

    def has_events(self, run: Run) -> bool:
        """Whether the run changed an asset, so that others may start."""
        params = {"source_dag_id": run.dag, "source_run_id": run.run_id, "limit": 1}
        return bool(self.request("GET", "assets/events", params=params)["asset_events"])

    def caused_by(self, run: Run) -> set[str]:
        """Ids of the runs whose asset events started this run."""
        path = f"dags/{run.dag}/dagRuns/{run.run_id}/upstreamAssetEvents"
        return {str(event["source_run_id"]) for event in self.request("GET", path)["asset_events"]}


def _run(item: Mapping[str, Any]) -> Run:
    queued = item.get("queued_at")
    moment = datetime.fromisoformat(queued) if queued else None
    return Run(item["dag_id"], item["dag_run_id"], item["state"], moment)
