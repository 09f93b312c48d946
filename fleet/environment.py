"""The life of one environment: created, configured, verified, deployed (with failures before success), changed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from fleet.actions import ActionLog

_URL = "/api/clusters/{}/"


@dataclass
class Environment:
    """An environment's history, of which its structure and its workloads at any moment follow."""

    cluster_id: int
    size: int
    created: datetime
    net_provider: str
    statuses: list[tuple[datetime, str]] = field(default_factory=list)
    sizes: list[tuple[datetime, int]] = field(default_factory=list)
    removed: datetime | None = None

    def exists_at(self, moment: datetime) -> bool:
        """Whether the environment is there at `moment`."""
        return self.created <= moment and (self.removed is None or moment < self.removed)

    def status_at(self, moment: datetime) -> str:
        """The environment's status at `moment`: the last that was set."""
        return [status for when, status in self.statuses if when <= moment][-1]

    def size_at(self, moment: datetime) -> int:
        """How many nodes the environment has at `moment`."""
        return [size for when, size in self.sizes if when <= moment][-1]

    @property
    def deployed(self) -> datetime | None:
        """When it first became operational; None: never."""
        return next((when for when, status in self.statuses if status == "operational"), None)


class Life:
    """Writes an environment's life into the action log, from its creation until `until`."""

    def __init__(self, rng: Random, log: ActionLog, environment: Environment, until: datetime) -> None:
        self.rng = rng
        self.log = log
        self.environment = environment
        self.until = until
        self.now = environment.created

    def live(self) -> Environment:
        """The whole life. Returns the environment with its statuses and sizes filled."""
        self._create()
        if self.rng.random() < 0.1:  # made and forgotten
            return self.environment
        self._configure()
        self._deploy()
        self._change()
        return self.environment

    def _create(self) -> None:
        env = self.environment
        names = ("cluster_changes", "cluster_collection")
        self.log.request(self.now, "POST", "/api/clusters/", names, None, status=201)
        env.statuses.append((self.now, "new"))
        env.sizes.append((self.now, env.size))

    def _configure(self) -> None:
        env, provider = self.environment, self.environment.net_provider
        url = _URL.format(env.cluster_id) + f"network_configuration/{provider}/"
        for _ in range(self.rng.randint(1, 3)):
            self._pause(1, 40)
            names = ("network_configuration", provider)
            self.log.request(self.now, "PUT", url, names, env.cluster_id)
            self.log.task(self.now, "check_networks", env.cluster_id, self.rng.uniform(0.02, 0.4))
        if self.rng.random() < 0.75:
            self.verify_networks(ready=self.rng.random() < 0.7)
        self.attributes()

    def verify_networks(self, *, ready: bool) -> None:
        """The operator checks the networks: a request, and a task that says how it went."""
        env, provider = self.environment, self.environment.net_provider
        url = _URL.format(env.cluster_id) + f"network_configuration/{provider}/verify/"
        self._pause(1, 30)
        names = ("network_verification", provider)
        self.log.request(self.now, "PUT", url, names, env.cluster_id, status=202)
        seconds = self.rng.uniform(15, 140)
        self.log.task(self.now, "verify_networks", env.cluster_id, seconds, ready=ready, nodes=env.size)

    def attributes(self) -> None:
        """The operator changes settings; now and then the request is refused."""
        self._pause(1, 60)
        status = self.rng.choices((200, 400, 500), (90, 8, 2))[0]
        self.log.request(
            self.now,
            "PUT",
            _URL.format(self.environment.cluster_id) + "attributes/",
            ("cluster_attributes", "attributes"),
            self.environment.cluster_id,
            status=status,
            message=None if status == 200 else '{"message": "invalid settings", "errors": []}',
        )

    def _deploy(self) -> None:
        """Attempts until one succeeds or the operator gives up."""
        for _ in range(5):
            self._pause(5, 240)
            if self.now >= self.until:
                return
            succeeded = self.rng.random() < 0.6
            self._attempt(succeeded)
            if succeeded:
                return
            gives_up = self.rng.random()
            if gives_up < 0.1:
                self._stop()
            if gives_up < 0.35:
                return
            self.attributes()

    def _attempt(self, succeeds: bool) -> None:
        env, start = self.environment, self.now
        names = ("cluster_changes", "deploy_changes")
        self.log.request(
            start, "PUT", _URL.format(env.cluster_id) + "changes/", names, env.cluster_id, status=202
        )
        self._mark("deployment")
        whole = self.log.new_task()
        parts = [self.log.new_task() for _ in range(3)]
        self.log.task(start, "check_before_deployment", env.cluster_id, 0.4, nodes=env.size, parent=whole)
        provision = self.rng.lognormvariate(6.4, 0.3) + 12 * env.size
        fails_early = not succeeds and self.rng.random() < 0.3
        after = self.log.task(
            start + timedelta(seconds=1),
            "provision",
            env.cluster_id,
            provision,
            ready=not fails_early,
            nodes=env.size,
            parent=whole,
        )
        if not fails_early:
            deployment = self.rng.lognormvariate(7.6, 0.4) * (1 + env.size / 12)
            after = self.log.task(
                after, "deployment", env.cluster_id, deployment, ready=succeeds, nodes=env.size, parent=whole
            )
        seconds = (after - start).total_seconds() + 2
        self.now = self.log.task(
            start, "deploy", env.cluster_id, seconds, ready=succeeds, nodes=env.size, subtasks=parts
        )
        self._mark("operational" if succeeds else "error")

    def _stop(self) -> None:
        self._pause(2, 20)
        env = self.environment
        names = ("cluster_changes", "stop_deployment")
        url = _URL.format(env.cluster_id) + "stop_deployment/"
        self.log.request(self.now, "PUT", url, names, env.cluster_id, status=202)
        self.now = self.log.task(self.now, "stop_deployment", env.cluster_id, 25, nodes=env.size)
        self._mark("stopped")

    def _change(self) -> None:
        """Grown, redeployed, updated or removed, some days later."""
        env = self.environment
        for _ in range(self.rng.choices((0, 1, 2), (60, 30, 10))[0]):
            self.now += timedelta(days=self.rng.uniform(1, 20))
            if self.now >= self.until:
                return
            draw = self.rng.random()
            if draw < 0.5:
                env.sizes.append((self.now, self._grown()))
                self._deploy()
            elif draw < 0.65:
                self._update()
            elif draw < 0.8:
                self._remove()
                return
            else:
                self.verify_networks(ready=self.rng.random() < 0.8)

    def _grown(self) -> int:
        self.environment.size += self.rng.randint(1, 3)
        return self.environment.size

    def _update(self) -> None:
        env, ready = self.environment, self.rng.random() < 0.6
        self._mark("update")
        seconds = self.rng.uniform(1200, 5000)
        self.now = self.log.task(self.now, "update", env.cluster_id, seconds, ready=ready)
        self._mark("operational" if ready else "update_error")

    def _remove(self) -> None:
        env = self.environment
        names = ("cluster_changes", "cluster_instance")
        url = _URL.format(env.cluster_id)
        self.log.request(self.now, "DELETE", url, names, env.cluster_id, status=202)
        self._mark("remove")
        self.now = self.log.task(self.now, "cluster_deletion", env.cluster_id, 90, nodes=env.size)
        # The row goes some hours later: a structure sent meanwhile shows the status `remove`.
        env.removed = self.now + timedelta(hours=self.rng.uniform(1, 40))

    def _mark(self, status: str) -> None:
        self.environment.statuses.append((self.now, status))

    def _pause(self, least: float, most: float) -> None:
        self.now += timedelta(minutes=self.rng.uniform(least, most))
