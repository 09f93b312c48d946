"""Runs ``dbt build`` as a process of its own, and turns what it says into log lines, rows and one clear error.

dbt is a process and not a library call: its state is global, and a task that is killed must take dbt with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuel_stat import log
from fuel_stat.postgres.dsn import Dsn
from fuel_stat.postgres.owner import stop_with_parent
from fuel_stat.state import REPOSITORY
from warehouse.errors import WarehouseError

logger = log.get(__name__)

# Selectors of each layer, in the order they are built. Tests run with the first layer in which all they need exists.
# Staging and intermediate share a process: staging is views, made in less time than dbt takes to start.
LAYERS: dict[str, tuple[str, ...]] = {
    "staging_intermediate": (
        "path:dbt_project/seeds",
        "path:dbt_project/models/staging",
        "path:dbt_project/models/intermediate",
    ),
    "marts": ("path:dbt_project/models/marts",),
    "reports": ("path:dbt_project/models/reports", "path:dbt_project/tests"),
}
_FAILED = ("error", "fail", "runtime error")


class DbtError(WarehouseError):
    """dbt ended with an error; ``results`` holds what it did before, the failed nodes among it."""

    def __init__(self, code: str, sentence: str, results: tuple[NodeResult, ...] = ()) -> None:
        super().__init__(code, sentence)
        self.results = results


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, test or seed. ``seconds`` is its own time."""

    unique_id: str
    resource_type: str
    status: str
    seconds: float
    rows_affected: int | None = None
    failures: int | None = None
    message: str | None = None

    @property
    def failed(self) -> bool:
        return self.status in _FAILED

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2] if self.unique_id.count(".") >= 2 else self.unique_id


@dataclass(frozen=True)
class Project:
    """Where dbt's project is, where it keeps its artefacts (a folder a task), and the database it builds in."""

    dsn: str
    targets: Path
    root: Path = REPOSITORY
    executable: Path = field(default_factory=lambda: Path(sys.executable).parent / "dbt")
    timeout_seconds: float = 3600.0

    def environ(self) -> dict[str, str]:
        """The environment of the dbt process: profiles.yml reads the FUEL_STAT_DBT_* variables."""
        address = Dsn.parse(self.dsn)
        return {
            **os.environ,
            "FUEL_STAT_DBT_HOST": address.host,
            "FUEL_STAT_DBT_PORT": str(address.port),
            "FUEL_STAT_DBT_USER": address.user,
            "FUEL_STAT_DBT_PASSWORD": address.password,
            "FUEL_STAT_DBT_DBNAME": address.database,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
            "PYTHONUNBUFFERED": "1",
        }


def build_layer(
    project: Project, layer: str, *, full_refresh: bool = False, tell: Callable[[str], None] | None = None
) -> list[NodeResult]:
    """``dbt build`` of one layer (a key of :data:`LAYERS`); every node's status and time is told as it ends.

    Raises:
        DbtError: ``dbt_failed`` with the failed nodes, ``dbt_timeout``, ``unknown_layer``.
    """
    if layer not in LAYERS:
        raise DbtError("unknown_layer", f"There is no layer {layer!r}: there are {', '.join(LAYERS)}.")
    arguments = ["build", "--select", *LAYERS[layer], "--indirect-selection", "cautious"]
    # Unit tests are about code: `make test` runs them.
    arguments += ["--exclude-resource-types", "unit_test"]
    if full_refresh:
        arguments.append("--full-refresh")
    return run(project, arguments, target=layer, tell=tell)


def run(
    project: Project, arguments: Sequence[str], *, target: str, tell: Callable[[str], None] | None = None
) -> list[NodeResult]:
    """Run a dbt command with its own target folder; see :func:`build_layer`."""
    say = tell or (lambda line: logger.info("dbt", line=line))
    folder = project.targets / target
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(project.executable),
        *("--log-format", "json", "--log-level", "info", "--log-level-file", "none", "--no-use-colors"),
        *arguments,
        *("--project-dir", str(project.root), "--profiles-dir", str(project.root / "dbt_project")),
        *("--target-path", str(folder), "--log-path", str(folder)),
    ]
    (folder / "run_results.json").unlink(missing_ok=True)
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=stop_with_parent(),
    ) as process:
        try:
            complaints = _follow(process, started + project.timeout_seconds, say)
        except BaseException:
            process.kill()
            raise
    results = _results(folder / "run_results.json")
    if process.returncode != 0 or any(result.failed for result in results):
        raise _failure(process.returncode, results, complaints)
    say(f"dbt {arguments[0]} {target}: {len(results)} nodes in {time.monotonic() - started:.1f} s")
    return results


def _follow(process: subprocess.Popen[str], deadline: float, say: Callable[[str], None]) -> list[str]:
    """Tell what dbt says while it runs; its errors and warnings are returned."""
    complaints: list[str] = []
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    for event in _events(process.stdout, complaints):
        if time.monotonic() > deadline:
            raise DbtError("dbt_timeout", "dbt took longer than it may; it was stopped.")
        info, data = event.get("info", {}), event.get("data", {})
        if str(info.get("name", "")).endswith("Result") and "node_info" in data:
            say(f"{str(data.get('status', '')).upper():8} {info.get('msg', '')}")
        elif info.get("level") in ("error", "warn"):
            complaints.append(str(info.get("msg", "")).strip())
            say(f"{info['level']}: {complaints[-1]}")
    process.wait()
    return complaints


def _events(lines: Any, complaints: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            # What is not JSON comes from Python itself: a traceback before dbt could set up its log.
            if line.strip():
                complaints.append(line.rstrip())
            continue
        if isinstance(event, dict):
            yield event


def _results(path: Path) -> list[NodeResult]:
    """What dbt wrote about every node when it ended; nothing when it ended before."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    return [_result(one) for one in document["results"]]


def _result(outcome: dict[str, Any]) -> NodeResult:
    affected = (outcome.get("adapter_response") or {}).get("rows_affected")
    failures = outcome.get("failures")
    return NodeResult(
        unique_id=str(outcome["unique_id"]),
        resource_type=str(outcome["unique_id"]).split(".")[0],
        status=str(outcome["status"]).lower(),
        seconds=float(outcome.get("execution_time") or 0.0),
        rows_affected=int(affected) if affected is not None and int(affected) >= 0 else None,
        failures=int(failures) if failures is not None else None,
        message=str(outcome.get("message") or "") or None,
    )


def _failure(code: int | None, results: list[NodeResult], complaints: list[str]) -> DbtError:
    broken = [result for result in results if result.failed]
    named = "; ".join(
        f"{one.name}: {' '.join((one.message or one.status).split())[:300]}" for one in broken[:5]
    )
    sentence = named or " ".join(complaints[-3:])[:600] or f"dbt ended with code {code}"
    return DbtError("dbt_failed", f"dbt: {sentence}", tuple(results))
