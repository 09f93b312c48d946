"""One installation: everything that it will ever send, as a function of the seed and its number alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from fleet.actions import Action, ActionLog
from fleet.catalogue import RELEASES, Release
from fleet.clock import Clock, pick_clock
from fleet.deformed import broken_action, deform, refused
from fleet.environment import Environment, Life
from fleet.leaks import Leaks
from fleet.structure import Portrait
from fleet.workloads import Workload, later_the_same_day, workloads_of


@dataclass(frozen=True)
class Visit:
    """What a node has to tell when it wakes up at the true UTC `moment`."""

    moment: datetime
    structure: dict[str, Any]
    workloads: list[Workload]
    """Records that are new or have changed since the visit before."""


@dataclass(frozen=True)
class Installation:
    """An installation's whole history. Equal seeds, numbers and times give equal installations."""

    uid: str
    release: Release
    clock: Clock
    is_test_build: bool
    actions: list[Action]
    visits: list[Visit]
    planted: frozenset[str]
    """Identifying values and secrets inside; none may survive in what is stored."""


def installations(seed: int, count: int, days: int, now: datetime) -> Iterator[Installation]:
    """The fleet, one by one (a large fleet is never held in memory). `now` is in UTC."""
    for number in range(count):
        yield make_installation(seed, number, days, now)


def uid_of(seed: int, number: int) -> str:
    """The uid of the `number`th installation of the fleet with this seed."""
    return str(UUID(int=Random(f"{seed}/{number}/uid").getrandbits(128), version=4))


def make_installation(seed: int, number: int, days: int, now: datetime) -> Installation:
    """The `number`th installation of the fleet: its last `days` days, ending at `now` (UTC)."""
    rng = Random(f"{seed}/{number}")
    uid, leaks, clock = uid_of(seed, number), Leaks(), pick_clock(rng)
    release = rng.choices(RELEASES, [candidate.weight for candidate in RELEASES])[0]
    test = rng.random() < 0.07
    portrait = Portrait(rng, uid, release, leaks, test=test)
    born = now - timedelta(days=rng.uniform(0.05, 1.0) * days)
    log = ActionLog(rng, clock, leaks, actor=f"{rng.getrandbits(160):040x}")
    environments = _environments(rng, log, born, now)
    _routine(rng, log, environments, born, now)
    actions = log.actions()
    if number % 25 == 7 and actions:
        actions.append(broken_action(actions[-1]))
    moments = _moments(rng, actions, born, now)
    visits = list(_visits(rng, portrait, environments, moments))
    if number % 20 == 11:
        visits = [replace(visit, structure=deform(visit.structure)) for visit in visits]
    if number % 60 == 41:
        visits = [replace(visit, structure=refused(visit.structure)) for visit in visits]
    return Installation(uid, release, clock, test, actions, visits, frozenset(leaks.planted))


def _environments(rng: Random, log: ActionLog, born: datetime, now: datetime) -> list[Environment]:
    count = rng.choices((0, 1, 2, 3, 5, 9), (9, 44, 25, 13, 7, 2))[0]
    result = []
    for cluster_id in range(1, count + 1):
        created = born + (now - born) * rng.random() ** 2
        size = max(1, min(60, round(rng.lognormvariate(1.5, 0.7))))
        provider = "nova_network" if rng.random() < 0.15 else "neutron"
        result.append(Life(rng, log, Environment(cluster_id, size, created, provider), now).live())
    return result


def _routine(
    rng: Random, log: ActionLog, environments: list[Environment], born: datetime, now: datetime
) -> None:
    """The everyday requests between the deployments, until the log has its length."""
    wanted = min(1500, int(rng.lognormvariate(4.45, 0.95)))
    kinds = ("settings", "attributes", "verify", "releases", "tasks", "dump")
    for _ in range(wanted):
        moment = born + (now - born) * rng.random()
        cluster = rng.choice(environments).cluster_id if environments else None
        kind = rng.choices(kinds, (20, 45, 12, 8, 13, 2))[0]
        if kind == "attributes" and cluster is not None:
            url = f"/api/clusters/{cluster}/attributes/"
            names = ("cluster_attributes", "attributes")
            log.request(moment, "PUT", url, names, cluster, status=rng.choice((200, 200, 200, 200, 400)))
        elif kind == "verify" and cluster is not None:
            log.task(
                moment, "verify_networks", cluster, rng.uniform(10, 150),
                ready=rng.random() < 0.8, nodes=rng.randint(1, 9), endless=rng.random() < 0.02,
            )  # fmt: skip
        elif kind == "dump":
            log.task(moment, "dump", None, rng.uniform(20, 400), endless=rng.random() < 0.1)
        elif kind == "releases":
            names = ("release_changes", "releases_collection")
            log.request(moment, "POST", "/api/releases/", names, None, status=rng.choice((201, 400)))
        elif kind == "tasks":
            names = ("tasks_changes", "task_instance")
            url = f"/api/tasks/{rng.randint(1, 400)}/"
            log.request(moment, "DELETE", url, names, None, status=rng.choice((200, 404)))
        else:
            names = ("master_node_settings", "master_node_settings")
            log.request(moment, "PUT", "/api/settings/", names, None)


def _moments(rng: Random, actions: list[Action], born: datetime, now: datetime) -> list[datetime]:
    """When the node wakes up; half the times while a task is running, which is then sent unfinished."""
    count = rng.choices((1, 2, 3, 4), (30, 35, 25, 10))[0]
    earlier = [born + (now - born) * rng.uniform(0.1, 0.98) for _ in range(count - 1)]
    running = [
        action.started + (action.ended - action.started) / 2
        for action in actions
        if action.is_task and action.ended is not None and action.ended < now
    ]
    if running:
        earlier = [rng.choice(running) if rng.random() < 0.5 else moment for moment in earlier]
    return [*sorted(earlier), now]


def _visits(
    rng: Random, portrait: Portrait, environments: list[Environment], moments: list[datetime]
) -> Iterator[Visit]:
    workloads = _workloads(rng, portrait, environments, moments[-1])
    before = datetime.min.replace(tzinfo=UTC)
    for moment in moments:
        fresh = [workload for workload in workloads if before < workload.at <= moment]
        yield Visit(moment, portrait.structure(environments, moment), fresh)
        before = moment
    if workloads and rng.random() < 0.4:
        # An hour later the last days' records have grown; the structure has not changed.
        touched = [later_the_same_day(rng, workload) for workload in workloads[-3:]]
        structure = portrait.structure(environments, moments[-1])
        yield Visit(moments[-1], structure, touched)


def _workloads(
    rng: Random, portrait: Portrait, environments: list[Environment], until: datetime
) -> list[Workload]:
    if not portrait.release.has_workloads:
        return []
    found: list[Workload] = []
    for env in environments:
        if env.deployed is None:
            continue
        end = min(until, env.removed or until)
        info = portrait.version_info(env)
        found.extend(workloads_of(rng, env.cluster_id, env.deployed, end, info))
    found.sort(key=lambda workload: workload.at)
    return [replace(workload, id=number) for number, workload in enumerate(found, start=1)]
